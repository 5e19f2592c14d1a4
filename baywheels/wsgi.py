"""The WSGI application, which gunicorn loads before it forks its workers."""

import os
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# No request waits longer than this. Management commands have no such limits.
SERVER_TIMEOUTS = (
    "-c lock_timeout=1s -c statement_timeout=8s -c idle_in_transaction_session_timeout=15s"
)


def below(base_path: str, service: "WSGIApplication") -> "WSGIApplication":
    """Serve below a path, whether or not the proxy removes it from the addresses it passes on."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if f"{path}/".startswith(f"{base_path}/"):
            environ["PATH_INFO"] = path.removeprefix(base_path)
        return service(environ, start_response)

    return application if base_path else service


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baywheels.settings")
database = settings.DATABASES["default"]
if settings.DB_OPTIONS is None and not settings.BEHIND_PGBOUNCER:
    # First, so that those in DATABASE_URL win.
    database["OPTIONS"]["options"] = f"{SERVER_TIMEOUTS} {database['OPTIONS']['options']}"
database["ANSWER_TIMEOUT"] = settings.DB_ANSWER_SECONDS or None

application = below(settings.BASE_PATH, get_wsgi_application())
# Without this each worker would load the views during its first request, and workers that SIGHUP
# starts would load new views beside the old settings and models.
import_module(settings.ROOT_URLCONF)
