import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "baywheels.settings")
# Nobody waits longer than this for an answer. Commands may take their time.
os.environ.setdefault(
    "SERVER_DB_OPTIONS",
    "-c lock_timeout=1s -c statement_timeout=8s -c idle_in_transaction_session_timeout=15s",
)

application = get_wsgi_application()
