"""A second server that shows lists and figures from a standby, and refuses every change."""

import os
import subprocess
import sys
import time

import psycopg
import pytest
import requests

from baywheels.embedded.cluster import Cluster

from ..support.server import ROOT, serve
from ..support.standby import standby_of

pytestmark = [pytest.mark.own_connections, pytest.mark.slow, pytest.mark.timeout(300)]

KEY = "k" * 50
PASSWORD = "a long password"
METRICS_TOKEN = "metrics-0123456789"
LISTS = ["/", "/healthz", "/readyz", "/suggestions", "/tasks", "/events", "/stations", "/docs"]
PAGES = ["board/", "lists/", "kpi/", "activity/", "audit/"]
RECORDS = ["suggestion", "task", "crew", "station"]
CHANGES = ["/suggestions", "/task/approve", "/dispatch/next", "/task/1/complete"]
REFUSAL = {"detail": "This server is read-only. Use the main server for changes."}
PATIENCE_SECONDS = 60
STANDBYS = """
from dispatch.monitoring.database_figures import standbys
print([sample.value for sample in next(standbys()).samples])
"""


def environment(url):
    own = {"DATABASE_URL": url, "SECRET_KEY": KEY, "API_AUTH": "required"}
    return {**own, "METRICS_TOKEN": METRICS_TOKEN}


def manage(url, *arguments, **changed):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment(url), "ALLOWED_HOSTS": "127.0.0.1", **changed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("primary") / "db")
    cluster.start()
    try:
        manage(cluster.url, "migrate", "--verbosity=0").check_returncode()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def standby(cluster, tmp_path_factory):
    with standby_of(cluster, tmp_path_factory.mktemp("standby") / "db") as (place, _):
        yield place


@pytest.fixture(scope="module")
def main(cluster):
    with serve(**environment(cluster.url)) as server:
        yield server


@pytest.fixture(scope="module")
def read_only(standby):
    with serve(**environment(standby.url), READ_ONLY="true") as server:
        yield server


@pytest.fixture(scope="module")
def client(cluster, main):
    """A client with a token and a session of the main server."""
    name = ["--username=maria", "--email=maria@example.org"]
    manage(
        cluster.url, "createsuperuser", "--noinput", *name, DJANGO_SUPERUSER_PASSWORD=PASSWORD
    ).check_returncode()
    client = requests.Session()
    page = f"{main.url}/admin/login/"
    client.get(page)
    form = {"username": "maria", "password": PASSWORD}
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
    assert client.post(page, form, allow_redirects=False).status_code == 302
    client.headers["Authorization"] = new_token(cluster)
    return client


def new_token(cluster):
    created = manage(cluster.url, "create_token", "maria", "--label", "reader")
    return f"Token {created.stdout.strip()}"


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def propose(client, main):
    move = {"from_station_id": 1, "to_station_id": 2, "qty": 3, "reason": "Full"}
    answer = client.post(f"{main.url}/suggestions", json=move)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def listed(client, server):
    return [each["id"] for each in client.get(f"{server.url}/suggestions").json()]


def test_changes_on_the_main_server_appear_in_the_lists(client, main, read_only):
    proposed = propose(client, main)

    wait_until(lambda: proposed in listed(client, read_only))


def test_token_works_although_its_use_is_not_recorded(cluster, client, read_only):
    unused = {"Authorization": new_token(cluster)}

    wait_until(lambda: requests.get(f"{read_only.url}/suggestions", headers=unused, timeout=15).ok)


def test_lists_figures_and_pages_open(client, main, read_only):
    proposed = propose(client, main)
    wait_until(lambda: proposed in listed(client, read_only))
    records = [f"/admin/dispatch/{name}/" for name in RECORDS]
    for path in [*LISTS, *(f"/admin/{page}" for page in PAGES), *records]:
        answer = client.get(read_only.url + path)
        assert answer.status_code == 200, (path, answer.text)
    assert "Read-only: Bay Wheels dispatch" in client.get(f"{read_only.url}/admin/lists/").text
    bearer = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    assert requests.get(f"{read_only.url}/metrics", headers=bearer, timeout=15).ok


@pytest.mark.parametrize("path", CHANGES)
def test_changes_are_refused_with_the_reason(client, read_only, path):
    answer = client.post(read_only.url + path, json={"worker_id": "van-1", "suggestion_id": 1})

    assert (answer.status_code, answer.json()) == (503, REFUSAL)


def test_no_one_signs_in(read_only):
    page = requests.get(f"{read_only.url}/admin/", timeout=15)

    assert page.status_code == 503
    assert "Sign in at the main server." in page.text
    assert requests.get(f"{read_only.url}/crew/", timeout=15).json() == REFUSAL


@pytest.mark.parametrize(
    "command", [["kpi"], ["export_metrics"], ["check_invariants"], ["preflight"], ["list_tokens"]]
)
def test_commands_that_only_read_work_on_a_standby(standby, command):
    done = manage(standby.url, *command, READ_ONLY="true")

    assert (done.returncode, done.stderr) == (0, "")


def counted(url):
    shell = "shell", "--no-imports", "--command", STANDBYS
    return manage(url, *shell, READ_ONLY="true").stdout.strip()


def test_exporter_counts_the_standbys_of_the_server_that_it_reads(cluster, standby):
    assert (counted(cluster.url), counted(standby.url)) == ("[1.0]", "[0.0]")


def test_exporter_that_may_not_see_the_standbys_does_not_count_them(cluster, standby):
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE web LOGIN")
        as_web = cluster.url_for("web")
        try:
            assert counted(as_web) == "[]"

            connection.execute("GRANT pg_read_all_stats TO web")

            assert counted(as_web) == "[1.0]"
        finally:
            connection.execute("DROP ROLE web")


def test_sweep_on_a_standby_fails_in_one_line(standby):
    done = manage(standby.url, "sweep", READ_ONLY="true")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "read-only" in line
