"""A restore to the second before a mistake, with PostgreSQL's own programs."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from psycopg.sql import SQL, Literal

from baywheels.embedded.cluster import PORT, USER, Cluster
from baywheels.embedded.programs import find_programs

from ..support.server import ROOT

pytestmark = [pytest.mark.own_connections, pytest.mark.slow, pytest.mark.timeout(240)]

PATIENCE_SECONDS = 60
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ARCHIVE_WAL = ROOT / "deploy" / "archive-wal"
ARCHIVE_COMMAND, COMMAND_OF_A_COPY = re.findall("^archive_command = '(.+)'$", OPERATIONS, re.M)
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
claimed = [services.claim_next_task(f"{van}-{{n}}", actor="drill").id for n in range({claims})]
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
        command = ARCHIVE_COMMAND.replace("/backup/wal", str(archive))
        command = command.replace("archive-wal", str(ARCHIVE_WAL))
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


def recover(base, place, archive, moment):
    """Start a copy of the backup, replay the archive up to that moment, and wait until it is
    writable."""
    shutil.copytree(base.data, place.data)
    settings = {
        "archive_command": COMMAND_OF_A_COPY,
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


def go_on_with(place):
    """Let the restored copy replace the original: it archives from now on."""
    # Checking a copy may write more than a segment, and later restores need that segment too.
    message = "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))"
    query(place, f"{message} FROM generate_series(1, 40)")
    place.stop()
    settings = place.data / "postgresql.auto.conf"
    settings.write_text("".join(settings.read_text().splitlines(keepends=True)[:-4]))
    place.start()


def archive_everything(cluster):
    last = query(cluster, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    query(cluster, "SELECT pg_switch_wal()")
    archived = f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver"
    wait_until(lambda: query(cluster, archived))


def failures(cluster):
    return query(cluster, "SELECT failed_count FROM pg_stat_archiver")


def claim(cluster, van="van"):
    return json.loads(shell(cluster, CLAIM.format(van=van, claims=CLAIMS)))


def lose_tasks(cluster):
    """Delete all tasks by mistake. Returns a moment before it."""
    moment = query(cluster, "SELECT clock_timestamp()")
    query(cluster, "DELETE FROM tasks")
    archive_everything(cluster)
    return moment


@contextmanager
def copies(*places):
    with ExitStack() as stack:
        for place in places:
            stack.callback(place.stop)
        yield places


CLAIMED = "SELECT array_agg(id ORDER BY id) FROM tasks WHERE attempt = 1"


def test_everything_acknowledged_before_a_mistake_is_restored(tmp_path, cluster, archive):
    manage(cluster, "migrate", "--verbosity=0")
    shell(cluster, WORK.format(tasks=TASKS))
    base = Cluster(tmp_path / "base")
    back_up(cluster, base)
    claimed = claim(cluster)
    events = query(cluster, "SELECT count(*) FROM task_events")
    moment = lose_tasks(cluster)

    with copies(Cluster(tmp_path / "first"), Cluster(tmp_path / "second")) as (first, second):
        recover(base, first, archive, moment)

        assert query(cluster, "SELECT count(*) FROM tasks") == 0
        assert query(first, "SELECT count(*) FROM tasks") == TASKS
        assert query(first, CLAIMED) == sorted(claimed)
        assert query(first, "SELECT count(*) FROM task_events") == events
        report = json.loads(manage(first, "verify_backup", "--max-age", "1h", "--json"))
        assert (report["ok"], report["tasks"]) == (True, TASKS)

        # The copy replaces the original, and the same mistake happens to it.
        cluster.stop()
        go_on_with(first)
        claimed += claim(first, van="later-van")
        recover(base, second, archive, lose_tasks(first))

        assert query(second, CLAIMED) == sorted(claimed)
        first.stop()
        go_on_with(second)
        archive_everything(second)
        assert {"00000002.history", "00000003.history"} <= set(os.listdir(archive))


def test_archive_accepts_a_segment_again_that_it_already_has(cluster):
    """PostgreSQL may be killed after its command succeeded and before it notes that."""
    archive_everything(cluster)
    status = cluster.data / "pg_wal" / "archive_status"
    [done, *_] = sorted(status.glob("*.done"))
    ready = done.rename(done.with_suffix(".ready"))

    query(cluster, "SELECT pg_create_restore_point('later')")
    archive_everything(cluster)

    assert not ready.exists()
    assert failures(cluster) == 0


def test_archive_keeps_a_segment_of_another_server(cluster, archive):
    current = query(cluster, "SELECT pg_walfile_name(pg_current_wal_lsn())")
    (archive / current).write_text("another server's")

    query(cluster, "SELECT pg_switch_wal()")

    wait_until(lambda: failures(cluster))
    assert (archive / current).read_text() == "another server's"


def test_missing_command_counts_as_a_failure(cluster):
    missing = ARCHIVE_COMMAND.replace("archive-wal", "/nowhere/archive-wal")
    query(cluster, SQL("ALTER SYSTEM SET archive_command = {}").format(Literal(missing)))
    query(cluster, "SELECT pg_reload_conf()")

    query(cluster, "SELECT pg_switch_wal()")

    wait_until(lambda: failures(cluster))


def test_exporter_shows_whether_the_archive_works(cluster, archive):
    manage(cluster, "migrate", "--verbosity=0")
    archive_everything(cluster)
    before = archive_figures(cluster)
    archive.rename(archive.with_name("gone"))

    query(cluster, "SELECT pg_create_restore_point('later')")
    query(cluster, "SELECT pg_switch_wal()")
    wait_until(lambda: failures(cluster))

    after = archive_figures(cluster)
    assert before.keys() == {"archived_timestamp_seconds", "wal_segments"}
    assert after["archive_failed_timestamp_seconds"] > after["archived_timestamp_seconds"]
    assert after["wal_segments"] == before["wal_segments"] + 1


def archive_figures(cluster):
    text = manage(cluster, "export_metrics")
    found = re.findall(r"^dispatch_database_(archive\w+|wal_segments) (\S+)$", text, re.M)
    return {name: float(value) for name, value in found}


def test_patroni_archives_by_the_same_command():
    configuration = (ROOT / "deploy" / "patroni.yml").read_text()
    assert re.findall("# archive_command: (.+)$", configuration, re.M) == [ARCHIVE_COMMAND]
    assert re.findall("-p archive_command='(.+)'$", OPERATIONS, re.M) == [ARCHIVE_COMMAND]


def test_two_servers_that_archive_one_name_at_once_do_not_mix_their_files(tmp_path):
    segments = [tmp_path / "one", tmp_path / "two"]
    for number, segment in enumerate(segments):
        segment.write_bytes(bytes([number]) * 2**20)
    for round in range(10):
        archived = tmp_path / f"archived-{round}"
        started = [subprocess.Popen([ARCHIVE_WAL, each, archived]) for each in segments]
        kept = [
            segment.read_bytes()
            for segment, process in zip(segments, started, strict=True)
            if process.wait() == 0
        ]
        assert kept == [archived.read_bytes()]


def test_file_that_a_killed_command_left_is_no_way_into_the_archive(tmp_path):
    archived, segment = tmp_path / "archived", tmp_path / "segment"
    archived.write_text("of another server")
    segment.write_text("ours")
    # The shell's process becomes the command, so its number is known before.
    left = 'ln "$2" "$2.$(uname -n).$$" && exec "$0" "$1" "$2"'

    done = subprocess.run(["sh", "-c", left, ARCHIVE_WAL, segment, archived], check=False)

    assert done.returncode == 1
    assert archived.read_text() == "of another server"
