"""Tests run on a real PostgreSQL: that of DATABASE_URL, or the embedded one started for the run."""

import os
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import override_settings

from baywheels.embedded import cluster
from dispatch.tests.support.log_secrets import watching_logs
from dispatch.tests.support.program_logs import watching_programs

started_here = False


def pytest_configure(config: pytest.Config) -> None:
    global started_here
    is_controller = not hasattr(config, "workerinput")
    if is_controller and not os.environ.get("DATABASE_URL"):
        started_here = cluster.DEFAULT.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if started_here:
        cluster.DEFAULT.stop()


@pytest.fixture(autouse=True, scope="session")
def quick_tests() -> Iterator[None]:
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        # Without it, the first request of each test client reads all static files.
        WHITENOISE_AUTOREFRESH=True,
    ):
        yield


@pytest.fixture(autouse=True, scope="session")
def secrets_stay_out_of_logs() -> Iterator[None]:
    """Fail at the end of the run if a test, or a program that it started, logged a secret."""
    with watching_logs(), watching_programs():
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_flush() -> Iterator[None]:
    """After a test with its own transactions, truncate only the tables that have rows.

    Django truncates every table, which gives each table and index a new file. Sequences are not
    reset and `post_migrate` does not run, so no test may rely on the first id being 1 or on the
    roles' groups being present (the `roles` fixture makes them again).
    """
    filled_by_django = {"django_content_type", "auth_permission"}

    def sql_flush(ops: DatabaseOperations, _: Any, tables: list[str], **__: Any) -> list[str]:
        candidates = set(tables) - filled_by_django
        queries = " UNION ALL ".join(
            f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in candidates
        )
        with ops.connection.cursor() as cursor:
            cursor.execute(queries)
            filled = ", ".join(name for (name,) in cursor.fetchall())
        return [f"TRUNCATE {filled} CASCADE"] if filled else []

    with (
        patch.object(DatabaseOperations, "sql_flush", sql_flush),
        patch("django.core.management.commands.flush.emit_post_migrate_signal"),
    ):
        yield
