"""The watch over everything that the tests log (conftest.py) sees each kind of secret."""

import logging
import secrets
import subprocess
import sys
from unittest.mock import patch

import psycopg
import pytest
import requests
from django.contrib.sessions.backends.db import SessionStore

from baywheels.embedded.cluster import SETTINGS, Cluster
from deploy.private import free_port, nginx
from dispatch import services
from dispatch.services import enrolment
from dispatch.services.webhook_endpoints import new_secret
from dispatch.tests.support.factories import UserFactory
from dispatch.tests.support.log_secrets import watch, watching_file
from dispatch.tests.support.upstreams import need

pytestmark = pytest.mark.django_db


def api_token():
    return services.create_token(UserFactory(), actor="maria", label="van")[1]


def session_key():
    session = SessionStore()
    session.create()
    return session.session_key


def crew_cookie():
    return enrolment.secret_of("BCDFGHJK", "nonce")


def database_address():
    return "postgresql://web:12345678@db/baywheels"


def code():
    return enrolment.create_text()


KINDS = [
    api_token,
    session_key,
    crew_cookie,
    database_address,
    new_secret,
    code,
    lambda: enrolment.grouped("BCDFGHJK"),
    lambda: secrets.token_urlsafe(9),
    lambda: "a long enough password",
]


@pytest.fixture
def found():
    """The watch's findings; the planted secrets are taken out again."""
    before = watch.found
    watch.found = []
    yield watch.found
    watch.found = before


@pytest.mark.parametrize("create", KINDS)
def test_logged_secret_is_found_with_its_logger_and_test(found, create, request):
    secret = create()

    logging.getLogger("planted").warning("Refused %s.", secret)

    [sentence] = found
    assert sentence.startswith("planted logged ")
    assert request.node.name in sentence


def test_secret_in_a_traceback_is_found(found):
    secret = api_token()
    try:
        int(secret)
    except ValueError:
        logging.getLogger("planted").exception("It failed.")
    assert len(found) == 1


def test_secret_that_a_program_appends_to_its_log_is_found(found, tmp_path):
    log, key = tmp_path / "log", session_key()
    log.write_text(f"before: {key}\n")

    with watching_file(log), log.open("a") as file:
        file.write("STATEMENT: SELECT 1\n")
    assert found == []
    with watching_file(log), log.open("a") as file:
        file.write(f"STATEMENT: UPDATE django_session WHERE session_key = '{key}'\n")
    assert len(found) == 1


LOG = [sys.executable, "-c", "import sys; print(sys.argv[1], file=sys.stderr)"]


@pytest.mark.parametrize(
    "streams",
    [{}, {"capture_output": True}, {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}],
    ids=["inherited", "captured", "merged"],
)
def test_secret_that_a_program_logs_is_found(found, streams, capsys):
    text = f"Refused {session_key()}."

    done = subprocess.run([*LOG, text], **streams, text=True, check=True)

    assert found
    assert text in (done.stderr or done.stdout or capsys.readouterr().err)


def test_secret_in_the_log_file_of_a_program_is_found(found, tmp_path):
    with open(tmp_path / "log", "w") as file:
        subprocess.run([*LOG, session_key()], stderr=file, check=True)
    assert len(found) == 1


def test_secret_in_the_line_that_a_test_reads_is_found(found):
    key = session_key()
    with subprocess.Popen([*LOG, key], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == f"{key}\n"
    assert len(found) == 1


def test_secret_after_the_line_that_a_test_reads_is_found(found):
    code = "import sys; print('started', file=sys.stderr); print(sys.argv[1], file=sys.stderr)"
    program = [sys.executable, "-c", code, session_key()]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "started\n"
    assert found


def test_secret_that_a_stopping_postgresql_logs_is_found(found, tmp_path):
    cluster, key = Cluster(tmp_path / "db"), session_key()
    with patch.dict(SETTINGS, log_statement="all"):
        cluster.start()
    with psycopg.connect(cluster.url) as database:
        database.execute(f"SELECT '{key}'")
    cluster.reset()
    assert found


@pytest.mark.slow
def test_secret_in_the_access_log_of_nginx_is_found(found):
    need("nginx")
    token = api_token()
    with nginx([free_port(), free_port()]) as url:
        assert requests.get(f"{url}/tasks?key={token}", timeout=20).status_code == 502
    assert found


def test_secret_that_a_command_prints_for_its_user_is_no_finding(found):
    printed = [sys.executable, "-c", "import sys; print(sys.argv[1])", session_key()]
    subprocess.run(printed, capture_output=True, check=True)
    assert found == []


def test_prefix_of_a_token_and_ordinary_lines_are_not_secrets(found):
    prefix = api_token()[:9]
    logging.getLogger("planted").warning("Token %s… was revoked by maria, POST /tasks 200.", prefix)
    assert found == []
