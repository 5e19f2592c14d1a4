"""Request bodies, strictly: what one client could mean and another reader take otherwise is 400."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any, NoReturn

from django.conf import settings
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser, FormParser, MultiPartParser

CHUNK = 65_536
MOST_CHUNKS_DISCARDED = 160


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The request's body is too large."


def read_body(stream: IO[bytes], parser_context: Mapping[str, Any] | None) -> bytes:
    """The whole body; 413 over DATA_UPLOAD_MAX_MEMORY_SIZE, 400 when the client hung up early."""
    length = int((parser_context or {})["request"].META["CONTENT_LENGTH"])
    if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        # Who is still sending reads no answer: let the moderate ones finish.
        for _ in range(MOST_CHUNKS_DISCARDED):
            if not stream.read(CHUNK):
                break
        raise BodyTooLarge
    body = stream.read()
    if len(body) != length:
        raise ParseError("The body is shorter than its Content-Length.")
    return body


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ParseError("The JSON has the same key twice.")
    return data


def finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ParseError("The JSON has a number out of range.")
    return number


def refuse_constant(text: str) -> NoReturn:
    raise ParseError(f"The JSON has {text}, which is not JSON.")


class StrictJSONParser(BaseParser):
    """UTF-8 whatever the charset says, no duplicate keys, no NaN, no Infinity."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = read_body(stream, parser_context)
        try:
            return json.loads(
                body.decode("utf-8"),
                object_pairs_hook=without_duplicates,
                parse_float=finite,
                parse_constant=refuse_constant,
            )
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:
            where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
            raise ParseError(f"The body is not valid JSON{where}.") from None


class StrictFormParser(FormParser):
    """UTF-8 whatever the charset says."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return QueryDict(read_body(stream, parser_context), encoding="utf-8")


class StrictMultiPartParser(MultiPartParser):
    """UTF-8 whatever the charset says, and no larger than other bodies."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = BytesIO(read_body(stream, parser_context))
        return super().parse(body, media_type, {**(parser_context or {}), "encoding": "utf-8"})
