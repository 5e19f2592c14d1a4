"""Watches everything that is logged while the tests run for the secrets that they create.

Most secrets have a form of their own. The others are recorded when they are created.
"""

import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore

from baywheels.embedded import cluster
from baywheels.logs import RequestIdFilter
from dispatch.services import enrolment

# API tokens, secrets of webhooks, cookies, headers, and addresses with a password, except the one
# that messages show as an example.
FORMS = re.compile(
    r"bw_[\w-]{43}|whsec_[\w+/=-]{32,}|(?i:\b(?:sessionid|csrftoken|crew)=[\w-]{20,})"
    r"|(?i:\bauthorization: \S+)|(?i:://(?!user:password@)[^\s/:@]*:[^\s/@]+@)"
)
PHRASES = ("a long enough password", "a-key-of-the-tests-only-")
WORD = re.compile(r"[\w-]{8,}", re.ASCII)
# Functions that return a new secret.
SOURCES: list[tuple[Any, str]] = [
    (secrets, "token_urlsafe"),
    (enrolment, "create_text"),
    (enrolment, "grouped"),
    (enrolment, "secret_of"),
    (SessionStore, "_get_new_session_key"),
]


class SecretsInLogs(logging.Handler):
    """`found`: a sentence for each secret that was logged, with the logger and the test."""

    def __init__(self) -> None:
        super().__init__()
        self.created: set[str] = set()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.check(self.format(record), record.name)

    def check(self, text: str, logger: str, when: str | None = None) -> None:
        """`when`: None for the present test."""
        if leaked := self.secrets_in(text):
            when = when or "in " + os.environ.get("PYTEST_CURRENT_TEST", "no test")
            self.found.append(f"{logger} logged {', '.join(leaked)} {when}.")

    def secrets_in(self, text: str) -> list[str]:
        phrases = [phrase for phrase in (*PHRASES, settings.SECRET_KEY) if phrase in text]
        return [*FORMS.findall(text), *phrases, *self.created.intersection(WORD.findall(text))]

    def recording(self, create: Callable[..., str]) -> Callable[..., str]:
        def create_and_record(*args: Any, **kwargs: Any) -> str:
            secret = create(*args, **kwargs)
            self.created.add(secret)
            return secret

        return create_and_record


watch = SecretsInLogs()


@contextmanager
def watching_file(log: Path) -> Iterator[None]:
    """Watch what a program appends to its log until the block ends."""
    size = log.stat().st_size if log.exists() else 0
    yield
    if log.exists():
        with log.open("rb") as file:
            file.seek(size)
            watch.check(file.read().decode(errors="replace"), str(log), "at some time")


@contextmanager
def watching_logs() -> Iterator[None]:
    """Watch until the block ends, and fail if a secret was logged, by PostgreSQL too if embedded.

    Lines are read as the service's own handler writes them.
    """
    root = logging.getLogger()
    [own] = [handler for handler in root.handlers if handler.get_name() == "stderr"]
    watch.setFormatter(own.formatter)
    watch.addFilter(RequestIdFilter())
    with ExitStack() as stack:
        for owner, name in SOURCES:
            recording = watch.recording(getattr(owner, name))
            stack.enter_context(patch.object(owner, name, recording))
        root.addHandler(watch)
        stack.callback(root.removeHandler, watch)
        with watching_file(cluster.DEFAULT.log):
            yield
    assert not watch.found, "\n".join(watch.found)
