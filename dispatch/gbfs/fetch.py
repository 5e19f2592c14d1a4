"""Fetches one document from the web or a file, limited in size and time."""

import os
import random
import re
import signal
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, make_headers
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from .access import Access
from .documents import BadFeed

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


NO_VALIDATORS = Validators()


@dataclass(frozen=True)
class Answer:
    content: bytes
    validators: Validators = NO_VALIDATORS


class PatientRetry(Retry):
    def get_backoff_time(self) -> float:
        """Pause before the first retry too: urllib3 repeats at once."""
        return super().get_backoff_time() or random.uniform(1, 2)  # noqa: S311

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """BadFeed: the server asks for a longer pause than the deadline allows."""
        seconds = super().get_retry_after(response)
        if seconds is not None and seconds > DEADLINE:
            why = f"{status_line(response)} It wants no request for {seconds:,.0f} seconds."
            raise BadFeed(why, retry_after=seconds)
        return seconds


RETRIES = PatientRetry(
    total=None,
    connect=2,
    read=2,
    status=2,
    other=2,
    redirect=5,
    status_forcelist={429, 500, 502, 503, 504},
    raise_on_status=False,
    backoff_factor=1,
    backoff_jitter=2,
)


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

    `access`: None if the operator named this source itself. Call it in the main thread: signals
    keep the deadline. BadFeed: no document; one line says why.
    """
    is_web = is_address(source)
    access = access or Access([source] if is_web else [])
    shown = without_query(source) if is_web else source
    try:
        if not is_web:
            return Answer(read_file(source))
        with time_limit(deadline), pool_for(source, access) as pool:
            return request(pool, source, validators, access.headers_for(source))
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


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise BadFeed after so many seconds, even if a server sends a byte now and then."""

    def expire(*_: Any) -> None:
        raise BadFeed("it took too long.")

    handler = signal.signal(signal.SIGALRM, expire)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


def pool_for(source: str, access: Access) -> PoolManager:
    """Use the proxy that the environment names, as Python's own client does.

    A proxy has its own rules about internal hosts.
    """
    address = urlsplit(source)
    proxy = getproxies().get(address.scheme)
    if not proxy or proxy_bypass(address.netloc):
        return access.pool()
    auth = parse_url(proxy).auth
    headers = make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return ProxyManager(proxy if "//" in proxy else f"http://{proxy}", proxy_headers=headers)


def request(
    pool: PoolManager, source: str, validators: Validators, extra: Mapping[str, str]
) -> Answer | None:
    headers = {
        "User-Agent": "baywheels-dispatch",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        **extra,
        **({"If-None-Match": validators.etag} if validators.etag else {}),
        **({"If-Modified-Since": validators.last_modified} if validators.last_modified else {}),
    }
    # Other hosts get none of the operator's headers, also after a redirect.
    retries: Retry = RETRIES.new(remove_headers_on_redirect=extra.keys())
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
    pool: PoolManager, source: str, headers: dict[str, str], retries: Retry
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
