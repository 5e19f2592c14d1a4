"""PostgreSQL has no connection to spare: who asks waits for one, but not for long."""

from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from baywheels.database import base

pytestmark = pytest.mark.django_db

# Roles belong to the whole cluster, which other tests use at the same time.
NAME = f"test_{uuid4().hex}"


@pytest.fixture
def one_at_a_time(transactional_db):
    """The parameters of a role that is allowed one connection."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {NAME} LOGIN CONNECTION LIMIT 1 PASSWORD 'long enough'")
    yield {**connection.get_connection_params(), "user": NAME, "password": "long enough"}
    with connection.cursor() as cursor:
        cursor.execute(f"DROP ROLE {NAME}")


@pytest.fixture(autouse=True)
def no_shortage_so_far(monkeypatch):
    monkeypatch.setattr(base, "shortage", base.Shortage())


@contextmanager
def held(parameters):
    names = ("host", "port", "user", "password", "dbname")
    with psycopg.connect(**{name: parameters.get(name) for name in names}) as other:
        yield other


def connect(parameters):
    wrapper = base.DatabaseWrapper(connection.settings_dict)
    wrapper.get_new_connection(parameters).close()


def test_a_connection_that_is_freed_meanwhile_is_waited_for(one_at_a_time, monkeypatch):
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


def test_after_two_seconds_nobody_waits_any_more_until_the_shortage_is_over(
    one_at_a_time, monkeypatch
):
    clock = Clock()
    monkeypatch.setattr(base, "time", clock)

    def waited():
        before = clock.now
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            connect(one_at_a_time)
        return clock.now - before

    with held(one_at_a_time):
        assert 1.8 < waited() <= 2
        # Behind those who waited, this one would have waited for them and then for itself.
        assert waited() < 0.2
        clock.now += 2.1
        assert 1.8 < waited() <= 2
        assert waited() < 0.2
        connect(connection.get_connection_params())
        assert 1.8 < waited() <= 2


def test_a_database_that_is_not_there_is_not_waited_for(monkeypatch):
    monkeypatch.delattr(base.time, "sleep")

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect({**connection.get_connection_params(), "dbname": NAME})
