"""The configuration of logs: to stderr, each line with the id of its request."""

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter

NO_REQUEST = "-"
request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)

LOGGERS: dict[str, dict[str, Any]] = {
    # baywheels.request already logs each 4xx and 5xx.
    "django.request": {"level": "ERROR"},
    "django.security.DisallowedHost": {"level": "CRITICAL"},
    # Failures and lockouts, but not every query of its table.
    "axes": {"level": "WARNING"},
    # Its warnings about retries show the whole address, and the query may hold a key.
    "urllib3": {"level": "ERROR"},
    "django": {"handlers": [], "level": "INFO", "propagate": True},
}

# Do not collect details that neither our formats nor gunicorn's show (Python's logging HOWTO,
# "Optimization").
logging.logThreads = logging.logMultiprocessing = False
logging._srcfile = None


class RequestIdFilter(logging.Filter):
    """Add the id of the current request to every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class WithoutRows(logging.Formatter):
    """Leaves out the values of a row that PostgreSQL refused, which may be secret."""

    # Values may contain any text: only the end of the message is certain.
    ROW = re.compile(r"(Failing row contains) \(.*\)\.", re.DOTALL)

    def formatException(self, ei: Any) -> str:
        text = super().formatException(ei)
        for message in map(str, chain_of(ei[1])):
            text = text.replace(message, self.ROW.sub(r"\1 (...).", message))
        return text


def chain_of(error: BaseException | None) -> list[BaseException]:
    """Return the error and those that led to it."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


class JsonWithoutRows(WithoutRows, JsonFormatter):
    """The same in JSON."""


def configuration(level: str, line_format: str) -> dict[str, Any]:
    """Return the argument of `logging.config.dictConfig`. `line_format`: "text" or "json"."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {
            "text": {
                "()": WithoutRows,
                "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
            },
            "json": {
                "()": JsonWithoutRows,
                "format": "%(asctime)s %(levelname)s %(name)s %(request_id)s %(message)s",
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": sys.stderr,
                "formatter": line_format,
                "filters": ["request_id"],
            },
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": LOGGERS,
    }
