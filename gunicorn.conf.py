"""The production server. The environment or the command line can override each value."""

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from baywheels.environment import env, whole_number

# Platforms that set PORT expect the service on every address.
port = whole_number("PORT", 0, most=65_535)
bind = env.str("BIND", default="") or (f"0.0.0.0:{port}" if port else "127.0.0.1:8000")
# gunicorn would believe SCRIPT_NAME and other variables that a client on this machine sends.
forwarder_headers = "NONE"
# Each thread of each worker holds a connection, and PostgreSQL allows 100 by default.
workers = whole_number("WEB_CONCURRENCY", min(multiprocessing.cpu_count() + 1, 10), least=1)
worker_class = "baywheels.web_worker.WebWorker"
# Loaded once, before the fork: a killed worker is replaced at once, and a wrong setting is one
# line and exit 1 instead of a loop of dying workers. Loading must not query the database.
preload_app = True
threads = whole_number("WEB_THREADS", 4, least=1)
# Phones keep their connection between two requests; a proxy in front closes it earlier.
keepalive = 65
graceful_timeout = 20
# gunicorn would put the socket into the home folder, which a read-only container does not have.
control_socket_disable = True


# The workers add up their figures in files. The folder is this server's own: another would make the
# sums fall. SIGHUP runs this file again and must keep it.
METRICS = "PROMETHEUS_MULTIPROC_DIR"
if env.str("METRICS_TOKEN", default="") and METRICS not in os.environ:
    # systemd names a folder that it removes when the service ends.
    os.environ[METRICS] = tempfile.mkdtemp("", "metrics-", os.getenv("RUNTIME_DIRECTORY"))


def on_starting(_: object) -> None:
    """Refuse to start without a database or on an old schema, with one line of explanation."""
    manage = Path(__file__).with_name("manage.py")
    # It is no worker, so its figures do not belong in the sums.
    environment = {name: value for name, value in os.environ.items() if name != METRICS}
    checked = subprocess.run([sys.executable, manage, "preflight"], env=environment, check=False)
    if checked.returncode:
        raise SystemExit(1)


def pre_fork(_: object, __: object) -> None:
    """Exclude loaded code from the workers' garbage collection."""
    gc.freeze()


def on_exit(_: object) -> None:
    if folder := os.environ.get(METRICS):
        shutil.rmtree(folder, ignore_errors=True)
