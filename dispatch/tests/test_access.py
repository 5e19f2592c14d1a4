"""`API_AUTH=required`, and a database that is away or busy: real gunicorn."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests
from django.db import transaction

from baywheels.devdb import Cluster
from conftest import ROOT, serve
from dispatch.models import Suggestion, Task

from .factories import SuggestionFactory, TaskFactory

PUBLIC = ["/", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"]


@pytest.mark.django_db(transaction=True)
def test_with_auth_required_only_the_public_paths_answer():
    suggestion, task = SuggestionFactory(), TaskFactory(assigned=True)
    closed = [
        ("GET", "/suggestions", None),
        ("HEAD", "/suggestions", None),
        ("POST", "/task/approve", {"suggestion_id": suggestion.id}),
        ("POST", "/dispatch/next", {"worker_id": "van-1"}),
        ("POST", f"/task/{task.id}/complete", None),
    ]

    with serve(API_AUTH="required") as server:
        for path in PUBLIC:
            assert requests.get(server.url + path, timeout=10).status_code == 200, path
        for method, path, body in closed:
            answer = requests.request(
                method,
                server.url + path,
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


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_held_too_long_is_503_and_changes_nothing():
    task = TaskFactory(assigned=True)

    with serve(DB_OPTIONS="-c lock_timeout=100ms") as server, transaction.atomic():
        Task.objects.select_for_update().get(pk=task.pk)
        answer = requests.post(f"{server.url}/task/{task.id}/complete", timeout=10)

    assert answer.status_code == 503
    assert answer.json() == {"detail": "The database is busy or away; try again."}
    assert int(answer.headers["Retry-After"]) > 0
    assert Task.objects.get().status == "assigned"


def test_only_the_servers_connections_have_timeouts(tmp_path):
    shown = """
from django.db import connection
with connection.cursor() as cursor:
    for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        cursor.execute("SHOW " + name)
        print(cursor.fetchone()[0])
"""
    with private_cluster(tmp_path) as cluster:
        server = python(cluster, "import baywheels.wsgi" + shown)
        command = python(cluster, "import django; django.setup()" + shown)

    assert server.split() == ["3s", "8s", "15s"]
    assert command.split() == ["0", "0", "0"]


def test_while_the_database_is_away_the_answer_is_503_and_then_service_heals(tmp_path):
    with private_cluster(tmp_path) as cluster:
        python(cluster, "import django; django.setup(); " + MIGRATE)
        with serve(DATABASE_URL=cluster.url) as server:
            assert requests.get(server.url + "/suggestions", timeout=10).json() == []

            cluster.stop()
            for path in ("/suggestions", "/readyz"):
                away = requests.get(server.url + path, timeout=10)
                assert away.status_code == 503
                assert away.json() == {"detail": "The database is busy or away; try again."}
            console = requests.get(
                server.url + "/admin/", cookies={"sessionid": "s" * 32}, timeout=10
            )
            assert console.status_code == 503
            assert "<h1>Service Unavailable</h1>" in console.text
            assert requests.get(server.url + "/healthz", timeout=10).status_code == 200

            cluster.start()
            assert requests.get(server.url + "/suggestions", timeout=10).json() == []


def test_serving_an_old_schema_is_refused_in_one_line(tmp_path):
    with private_cluster(tmp_path) as cluster:
        done = subprocess.run(
            [sys.executable, "-m", "gunicorn", "baywheels.wsgi", "--bind", "127.0.0.1:0"],
            cwd=ROOT,
            env=environment(cluster),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert "The database schema is old: run `python manage.py migrate`." in done.stderr
    assert "Traceback" not in done.stderr


MIGRATE = "from django.core.management import call_command; call_command('migrate', verbosity=0)"


@contextmanager
def private_cluster(tmp_path):
    """A server of one's own, to be stopped at will."""
    cluster = Cluster(tmp_path / "db")
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
