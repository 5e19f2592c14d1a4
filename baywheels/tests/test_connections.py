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


def test_after_two_seconds_there_is_no_more_waiting(one_at_a_time, monkeypatch):
    clock = 100.0

    def sleep(seconds):
        nonlocal clock
        clock += seconds

    monkeypatch.setattr(base.time, "sleep", sleep)
    monkeypatch.setattr(base.time, "monotonic", lambda: clock)
    with held(one_at_a_time), pytest.raises(psycopg.OperationalError, match="too many connections"):
        connect(one_at_a_time)

    assert 101.8 < clock <= 102


def test_a_database_that_is_not_there_is_not_waited_for(monkeypatch):
    monkeypatch.delattr(base.time, "sleep")

    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect({**connection.get_connection_params(), "dbname": NAME})
