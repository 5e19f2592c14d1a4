"""`API_AUTH=required`, and an unavailable or busy database, on a real gunicorn."""

import os
import subprocess
import sys

import pytest
import requests
from django.db import transaction

from baywheels.embedded.cluster import Cluster
from dispatch.models import Suggestion, Task

from ..support.factories import SuggestionFactory, TaskFactory
from ..support.server import ROOT, serve

PUBLIC = ["/", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"]


def test_only_public_paths_work_without_a_token(closed_server):
    suggestion, task = SuggestionFactory(), TaskFactory(assigned=True)
    closed = [
        ("GET", "/suggestions", None),
        ("HEAD", "/suggestions", None),
        ("POST", "/task/approve", {"suggestion_id": suggestion.id}),
        ("POST", "/dispatch/next", {"worker_id": "van-1"}),
        ("POST", f"/task/{task.id}/complete", None),
    ]

    for path in PUBLIC:
        assert requests.get(closed_server.url + path, timeout=10).status_code == 200, path
    for method, path, body in closed:
        answer = requests.request(
            method,
            closed_server.url + path,
            json=body,
            headers={"Authorization": "Token made-up"},
            timeout=10,
        )
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Token"
        if method != "HEAD":
            assert answer.json()["detail"]

    assert Suggestion.objects.exists()
    assert Task.objects.get().status == "assigned"


@pytest.mark.own_connections
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_lock_timeout_is_503_and_changes_nothing():
    task = TaskFactory(assigned=True)

    with serve(DB_OPTIONS="-c lock_timeout=100ms") as server, transaction.atomic():
        Task.objects.select_for_update().get(pk=task.pk)
        answer = requests.post(f"{server.url}/task/{task.id}/complete", timeout=10)

    assert answer.status_code == 503
    assert answer.json() == {"detail": "The database is busy or unavailable; try again."}
    assert int(answer.headers["Retry-After"]) > 0
    assert Task.objects.get().status == "assigned"


@pytest.mark.own_connections
@pytest.mark.slow
def test_only_server_connections_have_timeouts(cluster):
    shown = """
from django.db import connection
with connection.cursor() as cursor:
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        cursor.execute("SHOW " + name)
        print(cursor.fetchone()[0])
"""
    server = python(cluster, "import baywheels.wsgi" + shown)
    command = python(cluster, "import django; django.setup()" + shown)

    assert server.split() == ["1s", "8s", "15s"]
    assert command.split() == ["0", "0", "0"]


@pytest.mark.slow
def test_server_refuses_old_schema_and_survives_database_restart(cluster):
    refused = subprocess.run(
        [sys.executable, "-m", "gunicorn", "baywheels.wsgi", "--bind", "127.0.0.1:0"],
        cwd=ROOT,
        env=environment(cluster),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "The database schema is old: run `python manage.py migrate`." in refused.stderr
    assert "Traceback" not in refused.stderr

    python(cluster, "import django; django.setup(); " + MIGRATE)
    with serve(DATABASE_URL=cluster.url) as server:
        assert requests.get(server.url + "/suggestions", timeout=10).json() == []

        cluster.stop()
        for path in ("/suggestions", "/readyz"):
            away = requests.get(server.url + path, timeout=10)
            assert away.status_code == 503
            assert away.json() == {"detail": "The database is busy or unavailable; try again."}
        console = requests.get(server.url + "/admin/", cookies={"sessionid": "s" * 32}, timeout=10)
        assert console.status_code == 503
        assert "<h1>Service Unavailable</h1>" in console.text
        assert requests.get(server.url + "/healthz", timeout=10).status_code == 200

        cluster.start()
        assert requests.get(server.url + "/suggestions", timeout=10).json() == []


MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A PostgreSQL server of its own, which the test can stop."""
    cluster = Cluster(tmp_path_factory.mktemp("access") / "db")
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def environment(cluster):
    return {
        **os.environ,
        "DATABASE_URL": cluster.url,
        "SECRET_KEY": "k" * 50,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "baywheels.settings",
    }


def python(cluster, code):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(cluster),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    ).stdout
