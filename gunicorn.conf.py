"""How production serves. Each value can be overridden by the environment or the command line."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path


def whole_number(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise SystemExit(f"baywheels: {name} must be a whole number, one or more.")
    return int(value)


bind = os.environ.get("BIND", "127.0.0.1:8000")
# Each thread of each worker holds a connection, and PostgreSQL allows 100 by default.
workers = whole_number("WEB_CONCURRENCY", min(multiprocessing.cpu_count() + 1, 10))
worker_class = "baywheels.web_worker.TurnTakingWorker"
# Loaded once, before the fork: a killed worker is replaced at once, and a wrong setting is one
# line and exit 1 instead of a loop of dying workers. Nothing may query the database while loading.
preload_app = True
threads = whole_number("WEB_THREADS", 4)
# Phones keep their connection between two calls; a proxy in front closes it earlier.
keepalive = 65
graceful_timeout = 20
# The socket would lie in the home folder, which a read-only container has not.
control_socket_disable = True


def on_starting(_: object) -> None:
    """Refuse to start without a database or on an old schema, in one line."""
    manage = Path(__file__).with_name("manage.py")
    checked = subprocess.run([sys.executable, manage, "preflight"], check=False)
    if checked.returncode:
        raise SystemExit(1)
