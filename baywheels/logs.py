"""The configuration of logs: to stderr, each line with the id of its request."""

import logging
import sys
from typing import Any

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


def configuration(level: str, line_format: str) -> dict[str, Any]:
    """Return the argument of `logging.config.dictConfig`. `line_format`: "text" or "json"."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "baywheels.middleware.RequestIdFilter"}},
        "formatters": {
            "text": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
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
