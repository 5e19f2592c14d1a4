"""A restore to the second before a mistake, with PostgreSQL's own programs."""

import json
import os
import subprocess
import sys
import time

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from baywheels.embedded.cluster import PORT, USER, Cluster
from baywheels.embedded.programs import find_programs

from ..support.server import ROOT

pytestmark = [pytest.mark.own_connections, pytest.mark.slow, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 60
TASKS, CLAIMS = 200, 60
WORK = """
import json
from dispatch import services
from dispatch.services import SuggestionRow
rows = [SuggestionRow(n, n + 1, 5, "Full") for n in range(1, {tasks} + 1)]
services.ingest_suggestions(rows, source="drill", actor="drill")
from dispatch.models import Suggestion
ids = Suggestion.objects.values_list("id", flat=True)
services.approve_suggestions(list(ids), actor="drill")
"""
CLAIM = """
import json
from dispatch import services
claimed = [services.claim_next_task(f"van-{{n}}", actor="drill").id for n in range({claims})]
for task_id in claimed[::2]:
    services.complete_task(task_id, actor="drill")
print(json.dumps(claimed))
"""


def manage(cluster, *arguments):
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": cluster.url,
            "SECRET_KEY": "k" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shell(cluster, program):
    return manage(cluster, "shell", "--no-imports", "--command", program)


def query(cluster, statement):
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.fixture
def cluster(tmp_path, archive):
    """A cluster that archives its WAL."""
    cluster = Cluster(tmp_path / "live")
    cluster.start()
    try:
        command = f"test ! -f '{archive}/%f' && cp '%p' '{archive}/%f'"
        for name, value in (("archive_mode", "on"), ("archive_command", command)):
            setting = SQL("ALTER SYSTEM SET {} = {}").format(SQL(name), Literal(value))
            query(cluster, setting)
        cluster.stop()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def back_up(cluster, place):
    """Copy the running cluster into the folder of another."""
    place.folder.mkdir(mode=0o700)
    connection = ("-h", str(cluster.socket_dir), "-p", str(PORT), "-U", USER)
    options = ("-D", str(place.data), "--checkpoint=fast", "--wal-method=none")
    done = find_programs().run("pg_basebackup", *connection, *options, place=place)
    assert done.returncode == 0, done.stderr


def recover(place, archive, moment):
    """Start the backup, replay the archive up to that moment, and wait until it is writable."""
    settings = {
        "archive_mode": "off",
        "restore_command": f"cp '{archive}/%f' '%p'",
        "recovery_target_time": moment.isoformat(),
        "recovery_target_action": "promote",
    }
    with open(place.data / "postgresql.auto.conf", "a") as file:
        for name, value in settings.items():
            quoted = value.replace("'", "''")
            file.write(f"{name} = '{quoted}'\n")
    (place.data / "recovery.signal").touch()
    place.start()
    wait_until(lambda: query(place, "SELECT NOT pg_is_in_recovery()"))


def archive_everything(cluster):
    last = query(cluster, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    query(cluster, "SELECT pg_switch_wal()")
    archived = f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver"
    wait_until(lambda: query(cluster, archived))


def test_everything_acknowledged_before_a_mistake_is_restored(tmp_path, cluster, archive):
    manage(cluster, "migrate", "--verbosity=0")
    shell(cluster, WORK.format(tasks=TASKS))
    restored = Cluster(tmp_path / "restored")
    back_up(cluster, restored)
    claimed = json.loads(shell(cluster, CLAIM.format(claims=CLAIMS)))
    events = query(cluster, "SELECT count(*) FROM task_events")
    moment = query(cluster, "SELECT clock_timestamp()")
    query(cluster, "DELETE FROM tasks")
    archive_everything(cluster)

    try:
        recover(restored, archive, moment)

        found = "SELECT array_agg(id ORDER BY id) FROM tasks WHERE attempt = 1"
        assert query(cluster, "SELECT count(*) FROM tasks") == 0
        assert query(restored, "SELECT count(*) FROM tasks") == TASKS
        assert query(restored, found) == sorted(claimed)
        assert query(restored, "SELECT count(*) FROM task_events") == events
        report = json.loads(manage(restored, "verify_backup", "--max-age", "1h", "--json"))
        assert (report["ok"], report["tasks"]) == (True, TASKS)
    finally:
        restored.stop()
