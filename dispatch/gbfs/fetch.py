"""One document, from the web or a file: limited in size and time, whoever answers."""

import gzip
import http.client
import os
import random
import re
import stat
import time
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from .documents import BadFeed
from .web import WAIT, opener

LARGEST = 20_000_000
# Seconds: of the whole, and what is doubled before each further attempt.
DEADLINE, PAUSE = 60.0, 1.0
ATTEMPTS = 3
WORTH_ANOTHER_TRY = {429, 500, 502, 503, 504}
NOT_MODIFIED = 304
LONGEST_SOURCE = 2000
LONGEST_VALIDATOR = {"ETag": 500, "Last-Modified": 100}


@dataclass(frozen=True)
class Validators:
    """What an answer said of its version, for asking whether there is a newer one."""

    etag: str = ""
    last_modified: str = ""


NO_VALIDATORS = Validators()


@dataclass(frozen=True)
class Answer:
    content: bytes
    validators: Validators = NO_VALIDATORS


def is_address(source: str) -> bool:
    """Of the web; what names another scheme is refused, what names none is a file."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", source)
    if scheme is None:
        return False
    if scheme[1].lower() not in ("http", "https") or "//" not in source:
        raise BadFeed(f"{source[:200]}: only http, https and files are read.")
    try:
        address = urlsplit(source)
        is_sound = bool(address.hostname) and address.port != 0 and source.isprintable()
    except ValueError:
        is_sound = False
    if not is_sound or " " in source or len(source) > LONGEST_SOURCE:
        raise BadFeed(f"{without_query(source)}: not an address.")
    if "@" in address.netloc:
        raise BadFeed("An address with a user or password in it is not read.")
    return True


def fetch(
    source: str,
    validators: Validators = NO_VALIDATORS,
    *,
    deadline: float = DEADLINE,
    pause: Callable[[float], object] = time.sleep,
) -> Answer | None:
    """None: it is what `validators` came with. BadFeed: it cannot be had, in one line."""
    if not is_address(source):
        return Answer(read_file(source))
    end = time.monotonic() + deadline
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask(source, validators, end)
        except Passing as trouble:
            # Twice as long each time, and not in step with others.
            seconds = PAUSE * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            if attempt == ATTEMPTS or time.monotonic() + seconds > end:
                raise BadFeed(f"{without_query(source)}: {trouble}") from None
            pause(seconds)
    raise AssertionError


class Passing(Exception):
    """It may go better the next time."""


def without_query(source: str) -> str:
    """As it is shown: the query may hold a key."""
    return source.partition("?")[0][:200]


def read_file(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadFeed(f"{path}: not a plain file.")
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise BadFeed(f"{path}: {getattr(error, 'strerror', None) or error}.") from None
    return limited(path, content)


def limited(source: str, content: bytes) -> bytes:
    if len(content) > LARGEST:
        raise BadFeed(f"{without_query(source)}: larger than {LARGEST // 1_000_000} MB.")
    return content


def ask(address: str, validators: Validators, end: float) -> Answer | None:
    headers = {
        "User-Agent": "baywheels-dispatch",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        **({"If-None-Match": validators.etag} if validators.etag else {}),
        **({"If-Modified-Since": validators.last_modified} if validators.last_modified else {}),
    }
    try:
        request = urllib.request.Request(address, headers=headers)  # noqa: S310
        with opener(end).open(request, timeout=WAIT) as response:
            content = limited(address, body_of(response))
            return Answer(content, validators_of(response))
    except HTTPError as error:
        with error:
            if error.code == NOT_MODIFIED:
                return None
            told = f"{error.code} {error.reason}"
        if error.code in WORTH_ANOTHER_TRY:
            raise Passing(f"{told}.") from None
        raise BadFeed(f"{without_query(address)}: {told}.") from None
    except URLError as error:
        raise Passing(f"{error.reason}.") from None
    except TimeoutError:
        raise Passing("it took too long.") from None
    except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
        raise Passing(f"{error or type(error).__name__}.") from None
    except ValueError:
        # The library's own checks, of what a redirect led to.
        raise BadFeed(f"{without_query(address)}: not an address.") from None


def body_of(response: http.client.HTTPResponse) -> bytes:
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("gzip", "x-gzip", "identity"):
        raise Passing(f"it is encoded as {encoding[:20]}.")
    stream: IO[bytes] | gzip.GzipFile = response
    if encoding != "identity":
        stream = gzip.GzipFile(fileobj=response)
    content = stream.read(LARGEST + 1)
    if response.length and len(content) <= LARGEST:
        raise Passing("the answer was cut off.")
    return content


def validators_of(response: http.client.HTTPResponse) -> Validators:
    """What is too long to be kept is not repeated."""
    kept = [
        value if value.isascii() and value.isprintable() and len(value) <= longest else ""
        for name, longest in LONGEST_VALIDATOR.items()
        for value in [response.headers.get(name, "")]
    ]
    return Validators(*kept)
