"""Fetches one document from the web or a file, limited in size and time."""

import os
import random
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, Retry
from urllib3.exceptions import HTTPError

from .access import Access
from .deadline import Deadline
from .documents import BadFeed
from .pools import pool_for

LARGEST = 20_000_000
# Seconds: for all attempts together, and for a silent connection.
DEADLINE, WAIT = 60.0, 10.0
NOT_MODIFIED, FIRST_ERROR = 304, 300
LONGEST_SOURCE = 2000
LONGEST_VALIDATOR = {"ETag": 500, "Last-Modified": 100}


@dataclass(frozen=True)
class Validators:
    """The version of a response. Sent back, it asks for a newer one only."""

    etag: str = ""
    last_modified: str = ""

    def headers(self) -> dict[str, str]:
        values = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in values.items() if value}


NO_VALIDATORS = Validators()


@dataclass(frozen=True)
class Answer:
    content: bytes
    validators: Validators = NO_VALIDATORS


class PatientRetry(Retry):
    deadline: Deadline

    def new(self, **changes: Any) -> Self:
        retry = super().new(**changes)
        retry.deadline = self.deadline
        return retry

    def get_backoff_time(self) -> float:
        """Pause before the first retry too: urllib3 repeats at once.

        BadFeed: the deadline is over before the pause is.
        """
        seconds = super().get_backoff_time() or random.uniform(1, 2)  # noqa: S311
        self.deadline.check(seconds)
        return seconds

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """BadFeed: the server asks for a longer pause than the deadline allows."""
        seconds = super().get_retry_after(response)
        if seconds is not None and seconds > self.deadline.left:
            why = f"{status_line(response)} It wants no request for {seconds:,.0f} seconds."
            raise BadFeed(why, retry_after=seconds)
        return seconds


HEADERS = {
    "User-Agent": "baywheels-dispatch",
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
}
RETRIES: dict[str, Any] = {
    "total": None,
    "connect": 2,
    "read": 2,
    "status": 2,
    "other": 2,
    "redirect": 5,
    "status_forcelist": {429, 500, 502, 503, 504},
    "raise_on_status": False,
    "backoff_factor": 1,
    "backoff_jitter": 2,
}


def retries_until(deadline: Deadline, own: Mapping[str, str]) -> PatientRetry:
    """`own`: the operator's headers. Other hosts get none of them, also after a redirect."""
    retries = PatientRetry(**RETRIES, remove_headers_on_redirect=own.keys())
    retries.deadline = deadline
    return retries


def is_address(source: str) -> bool:
    """Return whether `source` is a web address rather than a file.

    BadFeed: it has a scheme other than http and https, or is malformed.
    """
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
        raise BadFeed("Addresses with a user or password are not read.")
    return True


def fetch(
    source: str,
    validators: Validators = NO_VALIDATORS,
    access: Access | None = None,
    *,
    deadline: float = DEADLINE,
) -> Answer | None:
    """Return the document, or None if it has not changed since `validators`.

    `access`: None if the operator named this source itself. `deadline`: seconds, apart from the
    look-up of the host's name. BadFeed: no document; one line says why.
    """
    is_web = is_address(source)
    access = access or Access([source] if is_web else [])
    shown = without_query(source) if is_web else source
    try:
        if not is_web:
            return Answer(read_file(source))
        with Deadline(deadline) as limit, pool_for(source, access, limit) as pool:
            own = access.headers_for(source)
            answer = request(
                pool, source, {**HEADERS, **own, **validators.headers()}, retries_until(limit, own)
            )
            # A body without a length ends where the connection is cut.
            limit.check()
            return answer
    except BadFeed as error:
        why, pause = str(error), error.retry_after
    except HTTPError as error:
        why, pause = in_words(error), 0.0
    raise BadFeed(f"{shown}: {why}", pause)


def in_words(error: HTTPError) -> str:
    """Return the cause. The text of the error itself holds the whole address, with its query."""
    reason: Exception = getattr(error, "reason", None) or error
    return f"{reason.__cause__ or (reason.args or [type(reason).__name__])[-1]}."


def without_query(source: str) -> str:
    """Return the address as it may be shown: the query may hold a key."""
    return source.partition("?")[0][:200]


def read_file(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadFeed("not a plain file.")
        with open(path, "rb") as file:
            return limited(file.read(LARGEST + 1))
    except (OSError, ValueError) as error:
        raise BadFeed(f"{getattr(error, 'strerror', None) or error}.") from None


def limited(content: bytes) -> bytes:
    if len(content) > LARGEST:
        raise BadFeed(f"larger than {LARGEST // 1_000_000} MB.")
    return content


def request(
    pool: PoolManager, source: str, headers: Mapping[str, str], retries: Retry
) -> Answer | None:
    while True:
        response = open_response(pool, source, headers, retries)
        try:
            with response:
                return read_response(response)
        except HTTPError as error:
            # urllib3 retries only until the headers have arrived.
            retries = (response.retries or retries).increment("GET", source, error=error)
            retries.sleep()


def open_response(
    pool: PoolManager, source: str, headers: Mapping[str, str], retries: Retry
) -> BaseHTTPResponse:
    try:
        return pool.request(
            "GET", source, headers=headers, retries=retries, timeout=WAIT, preload_content=False
        )
    except ValueError:
        raise BadFeed("only http(s) addresses are read, also after redirects.") from None


def read_response(response: BaseHTTPResponse) -> Answer | None:
    if response.status == NOT_MODIFIED:
        return None
    if response.status >= FIRST_ERROR:
        raise BadFeed(status_line(response))
    return Answer(limited(response.read(LARGEST + 1)), validators_of(response))


def status_line(response: BaseHTTPResponse) -> str:
    return f"{response.status} {response.reason or ''}".rstrip() + "."


def validators_of(response: BaseHTTPResponse) -> Validators:
    """Return only validators that are short enough to store."""
    kept = [
        value if value.isascii() and value.isprintable() and len(value) <= longest else ""
        for name, longest in LONGEST_VALIDATOR.items()
        for value in [response.headers.get(name, "")]
    ]
    return Validators(*kept)
