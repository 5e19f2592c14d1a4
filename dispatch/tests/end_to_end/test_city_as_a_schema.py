"""Two cities in one database, a schema each, with servers and commands of their own."""

import os
import subprocess
import sys

import psycopg
import pytest
import requests

from baywheels.embedded.cluster import Cluster

from ..support.server import ROOT, serve

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(300)]
CITIES = ("paris", "lyon")
SUGGEST = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)
    VALUES (1, 2, 5, current_schema())
"""
EXPIRED = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, expires_at)
    VALUES (1, 3, 5, 'Full', now())
"""


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """The DATABASE_URL of each city, migrated."""
    cluster = Cluster(tmp_path_factory.mktemp("cities") / "db")
    cluster.start()
    try:
        urls = {city: f"{cluster.url}&options=-c%20search_path%3D{city}" for city in CITIES}
        with psycopg.connect(cluster.url, autocommit=True) as database:
            for city, url in urls.items():
                database.execute(f"CREATE SCHEMA {city}")
                manage(url, "migrate", "--verbosity", "0")
        yield urls
    finally:
        cluster.stop()


def manage(url, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "SECRET_KEY": "k" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    ).stdout


def expiries(url):
    with psycopg.connect(url) as database:
        events = database.execute("SELECT count(*) FROM task_events WHERE kind = 'expired'")
        return events.fetchone()[0]


def test_tables_of_a_city_lie_in_its_schema_only(urls):
    with psycopg.connect(urls["paris"]) as database:
        found = database.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'tasks'")
        assert {schema for (schema,) in found} == set(CITIES)


def test_claims_of_two_cities_never_mix(urls):
    for url in urls.values():
        with psycopg.connect(url) as database:
            database.execute(SUGGEST)

    with serve(DATABASE_URL=urls["paris"]) as paris, serve(DATABASE_URL=urls["lyon"]) as lyon:

        def post(server, path, **body):
            return requests.post(f"{server.url}{path}", json=body, timeout=30)

        for server, city in ((paris, "paris"), (lyon, "lyon")):
            approved = post(server, "/task/approve", suggestion_id=1)
            assert (approved.status_code, approved.json()["reason"]) == (200, city)
        # The same crew id, at the same moment, in both.
        first = post(paris, "/dispatch/next", worker_id="van-1")
        assert (first.status_code, first.json()["reason"]) == (200, "paris")
        assert post(paris, "/dispatch/next", worker_id="van-1").status_code == 404
        second = post(lyon, "/dispatch/next", worker_id="van-1")
        assert (second.status_code, second.json()["reason"]) == (200, "lyon")
        assert post(paris, f"/task/{first.json()['id']}/complete").status_code == 200

    with psycopg.connect(urls["paris"]) as database:
        assert database.execute("SELECT status FROM tasks").fetchall() == [("completed",)]
    with psycopg.connect(urls["lyon"]) as database:
        assert database.execute("SELECT status FROM tasks").fetchall() == [("assigned",)]


def test_commands_work_on_their_own_city(urls):
    with psycopg.connect(urls["paris"]) as database:
        database.execute(EXPIRED)

    for url in urls.values():
        manage(url, "sweep")
        manage(url, "check_invariants")

    assert [expiries(url) for url in urls.values()] == [1, 0]
