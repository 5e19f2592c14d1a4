"""Strict request bodies: anything that two readers could understand differently is a 400."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser, FormParser, MultiPartParser

from .. import strict_json


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The request body is too large."


class UnsupportedBody(APIException):
    status_code = 415
    default_detail = (
        "The body's content type is missing or not supported. Send it as application/json."
    )


def read_body(stream: IO[bytes], parser_context: Mapping[str, Any] | None) -> bytes:
    """Return the whole body.

    413: it is larger than DATA_UPLOAD_MAX_MEMORY_SIZE. 400: the client closed the connection early.
    """
    length = int((parser_context or {})["request"].META["CONTENT_LENGTH"])
    if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise BodyTooLarge
    body = stream.read()
    if len(body) != length:
        raise ParseError("The body is shorter than its Content-Length.")
    return body


class StrictJSONParser(BaseParser):
    """JSON. `null` and `""` count as no body: some clients send them instead of an empty one."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            data = strict_json.loads(read_body(stream, parser_context))
        except strict_json.InvalidJson as error:
            raise ParseError(f"The body is {error}.") from None
        return {} if data is None or data == "" else data


class StrictFormParser(FormParser):
    """Read UTF-8 and ignore the charset of the request."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return QueryDict(read_body(stream, parser_context), encoding="utf-8")


class StrictMultiPartParser(MultiPartParser):
    """Read UTF-8 with the size limit of other bodies."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = BytesIO(read_body(stream, parser_context))
        return super().parse(body, media_type, {**(parser_context or {}), "encoding": "utf-8"})
