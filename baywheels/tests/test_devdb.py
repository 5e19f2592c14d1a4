import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import environ
import psycopg
import pytest

from baywheels.embedded.cluster import Cluster, DevDbError

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
NOBODY = 65534
START = "import sys; from pathlib import Path; from baywheels.embedded.cluster import Cluster\n"
START += "print(Cluster(Path(sys.argv[1])).start())"
START_AS_NOBODY = START.replace(
    "print(",
    f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\nprint(",
)
DJANGO = """
import sys, django
from django.conf import settings
from baywheels.embedded.cluster import DEFAULT
settings.configure(BATCH_STATEMENTS=True, PREPARE_STATEMENTS=True, DATABASES={"default": {
    "ENGINE": sys.argv[1], "NAME": "baywheels", "USER": "postgres", "PORT": "5432",
    "HOST": str(DEFAULT.socket_dir)}})
django.setup()
"""
QUERY = f"""{DJANGO}
from django.core.management.base import BaseCommand
from django.db import connection
class Command(BaseCommand):
    requires_system_checks = ()
    def handle(self, **options):
        connection.ensure_connection()
        self.stdout.write("connected")
Command().run_from_argv(["manage.py", "query"])
"""
DEVDB = f"""{DJANGO}
from baywheels.management.commands.devdb import Command
Command().run_from_argv(["manage.py", "devdb", *sys.argv[2:]])
"""
EMBEDDED = "baywheels.embedded"
OTHER = "django.db.backends.postgresql"


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., Cluster]]:
    # Not tmp_path: it is too long for a socket, and closed to other users.
    root = Path(tempfile.mkdtemp(prefix="bw-", dir="/tmp"))
    root.chmod(0o755)
    made: list[Cluster] = []

    def make(folder: str = "db") -> Cluster:
        made.append(Cluster(root / folder))
        return made[-1]

    yield make
    for cluster in made:
        cluster.reset()
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def store() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bw-", dir="/tmp"))
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def give_data(store: Path) -> Iterator[Callable[[Cluster], Cluster]]:
    """Lends one data folder to all tests: creating or copying one takes a second."""
    borrowers: list[Cluster] = []

    def give(cluster: Cluster) -> Cluster:
        borrowers.append(cluster)
        if store.exists():
            cluster.folder.mkdir(mode=0o700)
            store.rename(cluster.data)
        else:
            cluster.start()
            with connect(cluster) as connection:
                connection.execute("CREATE TABLE kept (n int)")
            cluster.stop()
        return cluster

    yield give
    for cluster in borrowers:
        cluster.stop()
        if cluster.data.exists():
            cluster.data.rename(store)


@pytest.fixture
def cluster(
    new_cluster: Callable[..., Cluster], give_data: Callable[[Cluster], Cluster]
) -> Cluster:
    return give_data(new_cluster())


opened: list[psycopg.Connection] = []


def connect(cluster: Cluster) -> psycopg.Connection:
    """The connection is closed at the end of the test at the latest."""
    opened.append(psycopg.connect(cluster.url, autocommit=True))
    return opened[-1]


@pytest.fixture(autouse=True)
def closed_connections():
    yield
    while opened:
        opened.pop().close()


def pid_of(cluster: Cluster) -> int:
    pid = cluster.status().pid
    assert pid is not None
    return pid


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    options["env"] = os.environ | options.pop("env", {})
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, cwd=PROJECT, text=True, **pipes | options)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=30)
    return out + err


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def kill_server(cluster: Cluster) -> None:
    pid = pid_of(cluster)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: cluster.status().pid is None)


def test_log_shows_no_failed_statement_and_no_value_of_a_refused_row(cluster: Cluster) -> None:
    cluster.start()
    database = connect(cluster)
    database.execute("CREATE TABLE sessions (key text UNIQUE CHECK (key <> 'planted'))")
    database.execute("INSERT INTO sessions VALUES ('twice planted')")
    for statement in (
        "SELECT 1 / 0 AS planted",
        "INSERT INTO sessions VALUES ('twice planted')",
        "INSERT INTO sessions VALUES ('planted')",
    ):
        with pytest.raises(psycopg.Error):
            database.execute(statement)

    log = cluster.log.read_text()
    for error in ("division by zero", "sessions_key_key", "sessions_key_check"):
        assert error in log
    assert "planted" not in log


def test_processes_that_start_at_once_share_one_server(new_cluster):
    cluster = new_cluster()
    code = START.replace("print(", "print(flush=True); input(); print(")
    starters = [python(code, cluster.folder) for _ in range(4)]
    for starter in starters:
        starter.stdout.readline()

    for starter in starters:
        starter.stdin.write("\n")
        starter.stdin.flush()

    assert sorted(output(starter) for starter in starters) == ["False\n"] * 3 + ["True\n"]
    assert connect(cluster).info.backend_pid


def test_starting_again_keeps_the_server(cluster):
    assert cluster.start()
    pid = pid_of(cluster)

    assert not cluster.start()
    assert pid_of(cluster) == pid


def test_server_keeps_safe_defaults_and_a_private_socket(cluster):
    cluster.start()

    with connect(cluster) as connection:
        names = (
            "fsync",
            "synchronous_commit",
            "listen_addresses",
            "timezone",
            "server_encoding",
        )
        shown = [connection.execute(f"SHOW {name}").fetchone()[0] for name in names]
    assert shown == ["on", "on", "", "UTC", "UTF8"]
    assert (cluster.socket_dir / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700
    assert cluster.data.stat().st_mode & 0o777 == 0o700


def test_new_folder_is_closed_to_others(new_cluster, monkeypatch):
    cluster = new_cluster()
    monkeypatch.setenv("PG_BIN", "/nowhere")
    with pytest.raises(DevDbError):
        cluster.start()

    assert cluster.folder.stat().st_mode & 0o777 == 0o700


def test_committed_rows_survive_kill_9_of_the_server(cluster):
    cluster.start()
    orphan = connect(cluster)
    orphan.execute("INSERT INTO kept VALUES (7)")
    kill_server(cluster)

    assert cluster.start()
    with connect(cluster) as connection:
        assert connection.execute("SELECT n FROM kept WHERE n = 7").fetchall() == [(7,)]


def test_start_waits_for_the_busy_backends_of_a_killed_server(cluster):
    cluster.start()
    orphan = connect(cluster)
    orphan.pgconn.send_query(
        b"DO $$ DECLARE until timestamptz := clock_timestamp() + '1 s';"
        b"BEGIN WHILE clock_timestamp() < until LOOP END LOOP; END $$"
    )
    with connect(cluster) as other:
        is_active = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
        wait_until(lambda: other.execute(is_active, [orphan.info.backend_pid]).fetchone())
    kill_server(cluster)

    assert cluster.start()


def test_kill_9_of_a_client_leaves_the_server_serving(cluster):
    code = START + "\nimport psycopg; connection = psycopg.connect(sys.argv[2])\n"
    code += "connection.execute('INSERT INTO kept VALUES (1)'); print(flush=True); input()"
    client = python(code, cluster.folder, cluster.url)
    assert client.stdout.readline() == "True\n"
    client.stdout.readline()
    pid = pid_of(cluster)

    client.kill()
    client.communicate()

    assert pid_of(cluster) == pid
    with connect(cluster) as connection:
        assert connection.execute("SELECT n FROM kept WHERE n = 1").fetchall() == []


@pytest.mark.parametrize("content", ["", "nonsense\n", "4194305\n/nowhere\n"])
def test_stale_pid_file_does_not_prevent_a_start(cluster, content):
    (cluster.data / "postmaster.pid").write_text(content)

    assert not cluster.is_running()
    assert cluster.start()


def test_another_process_with_the_servers_pid_is_not_stopped(cluster):
    cluster.start()
    pid_file = cluster.data / "postmaster.pid"
    socket_lock = cluster.socket_dir / ".s.PGSQL.5432.lock"
    lines = pid_file.read_text().splitlines(keepends=True)
    kill_server(cluster)
    innocent = subprocess.Popen(["sleep", "60"], cwd=cluster.data)
    for file in pid_file, socket_lock:
        file.write_text("".join([f"{innocent.pid}\n", *lines[1:]]))

    assert not cluster.is_running()
    assert not cluster.stop()
    assert cluster.start()
    assert connect(cluster).info.backend_pid
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_stop_ends_only_its_own_server(cluster, new_cluster):
    ours, other = cluster, new_cluster("other")
    other.start()
    shutil.copy(other.data / "postmaster.pid", ours.data)

    assert not ours.stop()
    assert ours.start()
    assert ours.stop()
    assert not ours.is_running()
    assert connect(other).info.backend_pid


def test_start_succeeds_after_an_initdb_killed_half_way(new_cluster):
    cluster = new_cluster()
    starter = python(START, cluster.folder, start_new_session=True)
    wait_until(lambda: list(cluster.folder.glob("*/PG_VERSION")))
    os.killpg(starter.pid, signal.SIGKILL)
    starter.communicate()

    assert cluster.start()
    assert connect(cluster).info.dbname == "baywheels"
    assert not list(cluster.folder.glob("unfinished-*"))


def test_server_has_its_own_session_and_no_output_of_its_starter(cluster):
    starter = python(START, cluster.folder, start_new_session=True)
    assert output(starter) == "True\n"

    assert os.getsid(pid_of(cluster)) != starter.pid


def test_pg_variables_of_the_caller_are_ignored(cluster):
    variables = {
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGHOST": "nowhere",
        "PGUSER": "nobody",
    }
    variables |= {"PGOPTIONS": "-c nonsense=1", "PGCTLTIMEOUT": "0"}

    assert output(python(START, cluster.folder, env=variables)) == "True\n"
    with connect(cluster) as connection:
        connection.execute("CREATE TEMP TABLE environment (line text)")
        connection.execute("COPY environment FROM PROGRAM 'env'")
        lines = {line for (line,) in connection.execute("SELECT line FROM environment")}
    assert not lines & {f"{name}={value}" for name, value in variables.items()}
    assert connect(cluster).info.port == 5432


def test_deleted_socket_is_created_again(cluster):
    cluster.start()
    (cluster.socket_dir / ".s.PGSQL.5432").unlink()

    assert cluster.start()
    assert connect(cluster).info.backend_pid


@pytest.mark.parametrize("name", ["x" * 90, "a,b", 'it\'s $HOME `x` "y" %41 ü'])
def test_any_folder_name_works(new_cluster, give_data, name):
    cluster = give_data(new_cluster(name))

    assert cluster.start()
    assert connect(cluster).info.backend_pid


def test_socket_folder_that_others_could_enter_is_refused(new_cluster, give_data):
    cluster = give_data(new_cluster("x" * 90))
    cluster.socket_dir.mkdir()
    cluster.socket_dir.chmod(0o755)

    with pytest.raises(DevDbError, match="is not a private folder of yours"):
        cluster.start()


@pytest.mark.parametrize("folder", ["/nowhere", "/usr/bin"])
def test_missing_programs_are_reported_in_one_line(new_cluster, monkeypatch, folder):
    cluster = new_cluster()
    monkeypatch.setenv("PG_BIN", folder)

    with pytest.raises(DevDbError) as refusal:
        cluster.start()
    assert str(refusal.value).startswith(f"PG_BIN={folder} holds no PostgreSQL 15 or newer")
    assert "\n" not in str(refusal.value)


def test_data_of_another_version_is_reported_in_one_line(new_cluster):
    cluster = new_cluster()
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("9\n")

    with pytest.raises(DevDbError, match=r"of PostgreSQL 9 but .*: set PG_BIN") as refusal:
        cluster.start()
    assert "\n" not in str(refusal.value)


def test_folder_that_cannot_be_created_is_reported_in_one_line():
    with pytest.raises(DevDbError, match=r"/proc/nowhere.*: set DEVDB_DIR to a folder"):
        Cluster(Path("/proc/nowhere")).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_ordinary_user_and_root_share_the_users_cluster(new_cluster):
    cluster = new_cluster()
    cluster.folder.mkdir(mode=0o700)
    os.chown(cluster.folder, NOBODY, NOBODY)

    assert output(python(START_AS_NOBODY, cluster.folder)) == "True\n"
    assert cluster.stop()
    assert cluster.start()
    assert Path(f"/proc/{pid_of(cluster)}").stat().st_uid == NOBODY
    assert output(python(START_AS_NOBODY, cluster.folder)) == "False\n"


def test_djangos_first_connection_starts_the_server(cluster):
    assert output(python(QUERY, EMBEDDED, env={"DEVDB_DIR": str(cluster.folder)})) == "connected\n"
    assert cluster.is_running()


def test_command_fails_in_one_line_if_the_server_cannot_start(new_cluster):
    cluster = new_cluster()
    variables = {"DEVDB_DIR": str(cluster.folder), "PG_BIN": "/nowhere"}
    process = python(QUERY, EMBEDDED, env=variables)

    assert output(process).startswith("EmbeddedDatabaseError: PG_BIN=/nowhere holds no PostgreSQL")
    assert process.returncode == 1


def test_devdb_command_starts_shows_and_stops(cluster):
    def devdb(action: str) -> tuple[str, int]:
        process = python(DEVDB, EMBEDDED, action, env={"DEVDB_DIR": str(cluster.folder)})
        return output(process), process.returncode

    assert devdb("start") == ("Started.\n", 0)
    assert f"is running as pid {pid_of(cluster)} in {cluster.folder}" in devdb("status")[0]
    assert devdb("url") == (f"{cluster.url}\n", 0)
    assert devdb("stop") == ("Stopped.\n", 0)
    assert devdb("status")[1] == 3


def test_url_has_its_host_and_user_as_parameters(new_cluster):
    cluster = new_cluster()

    parts = urlsplit(cluster.url)

    assert (parts.netloc, parts.path) == ("", "/baywheels")
    assert parse_qs(parts.query) == {"host": [str(cluster.socket_dir)], "user": ["postgres"]}
    read = environ.Env.db_url_config(cluster.url)
    assert {"NAME": "baywheels", "OPTIONS": parse_first(parts.query)}.items() <= read.items()


def parse_first(query: str) -> dict[str, str]:
    return {name: first for name, (first, *_) in parse_qs(query).items()}


def test_url_for_a_job_may_insert_but_not_replace(new_cluster):
    cluster = new_cluster()

    def manage(*arguments: str) -> str:
        variables = {"DEVDB_DIR": str(cluster.folder), "DATABASE_URL": ""}
        code = "import runpy; runpy.run_path('manage.py', run_name='__main__')"
        return output(python(code, *arguments, env=variables)).strip()

    assert "manage.py migrate" in manage("devdb", "url", "--job")
    assert manage("migrate", "-v0") == ""
    url = manage("devdb", "url", "--job")
    assert manage("devdb", "url", "--job") == url

    with psycopg.connect(url) as job:
        job.execute(
            "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)"
            " VALUES (1, 2, 3, 'Full')"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            job.execute("DROP TABLE suggestions CASCADE")


def test_devdb_reset_without_a_terminal_needs_yes(new_cluster):
    cluster = new_cluster()
    cluster.data.mkdir(parents=True)
    variables = {"DEVDB_DIR": str(cluster.folder)}

    assert "--yes" in output(python(DEVDB, EMBEDDED, "reset", env=variables))
    assert cluster.data.exists()
    assert output(python(DEVDB, EMBEDDED, "reset", "--yes", env=variables)) == "Deleted.\n"
    assert not cluster.data.exists()


@pytest.mark.parametrize("action", ["start", "stop", "status", "reset"])
def test_devdb_is_refused_if_another_database_is_set(new_cluster, action):
    cluster = new_cluster()
    process = python(DEVDB, OTHER, action, env={"DEVDB_DIR": str(cluster.folder)})

    assert output(process) == (
        "CommandError: DATABASE_URL is set: the embedded PostgreSQL is not used.\n"
    )
    assert not cluster.folder.exists()


def test_reset_deletes_the_data(cluster):
    cluster.start()
    cluster.reset()

    assert not cluster.is_running()
    assert not cluster.data.exists()
