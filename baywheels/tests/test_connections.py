"""Requests wait up to two seconds for a connection when PostgreSQL has none to spare."""

from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from baywheels.database import base

pytestmark = [pytest.mark.own_connections, pytest.mark.django_db]

# Roles belong to the whole cluster, which other tests use at the same time.
NAME = f"test_{uuid4().hex}"


@pytest.fixture
def one_at_a_time(transactional_db):
    """The connection parameters of a role that may have one connection."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {NAME} LOGIN CONNECTION LIMIT 1 PASSWORD 'long enough'")
    yield {**connection.get_connection_params(), "user": NAME, "password": "long enough"}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP ROLE {NAME}")


@pytest.fixture(autouse=True)
def no_shortage_yet(monkeypatch):
    monkeypatch.setattr(base, "shortage", base.Shortage())


@contextmanager
def held(parameters):
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: parameters.get(name) for name in names}) as other:
        yield other


def connect(parameters):
    wrapper = base.DatabaseWrapper(connection.settings_dict)
    wrapper.get_new_connection(parameters).close()


def test_connecting_waits_until_a_connection_is_free(one_at_a_time, monkeypatch):
    with held(one_at_a_time) as other:
        monkeypatch.setattr(base.time, "sleep", lambda _: other.close())

        connect(one_at_a_time)

        assert other.closed


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_threads_share_one_wait_of_two_seconds_for_each_shortage(one_at_a_time, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(base, "time", clock)

    def waited():
        before = clock.now
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            connect(one_at_a_time)
        return clock.now - before

    with held(one_at_a_time):
        assert 1.8 < waited() <= 2
        # The request queued behind that one has already waited.
        assert waited() < 0.2
        clock.now += 2.1
        assert 1.8 < waited() <= 2
        assert waited() < 0.2
        connect(connection.get_connection_params())
        assert 1.8 < waited() <= 2


def test_missing_database_is_not_waited_for(monkeypatch):
    monkeypatch.delattr(base.time, "sleep")

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect({**connection.get_connection_params(), "dbname": NAME})
