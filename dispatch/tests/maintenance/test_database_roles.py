"""The rights of each PostgreSQL role, tested in PostgreSQL."""

from contextlib import contextmanager
from io import StringIO
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from psycopg.errors import InsufficientPrivilege

from dispatch import services
from dispatch.maintenance.database_roles import RoleNames, project_tables
from dispatch.models import Station, Suggestion, Task, User

from ..support.concurrency import background
from ..support.factories import MORNING, SuggestionFactory, TaskFactory, UserFactory
from ..support.feeds import a_station, a_status, record, sync
from ..support.pruning import old_tasks, prune_all
from ..support.server import database_url, serve

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

# Roles belong to the cluster, which other tests use at the same time.
PREFIX = f"test_{uuid4().hex}"
ROLES = RoleNames.starting_with(PREFIX)
OURS = f"rolname LIKE '{PREFIX}%'"
DEPLOY, WEB, JOB = (f"{PREFIX}_login_{name}" for name in ("deploy", "web", "job"))
PASSWORD = "a long enough password"
ML_READS = {
    "suggestions",
    "tasks",
    "task_events",
    "stations",
    "station_aliases",
    "station_status",
    "station_outages",
}
INSERT = """
    INSERT INTO suggestions
        (from_station_id, to_station_id, qty, reason, priority, source, expires_at)
    VALUES (512, 87, 6, '87 is empty', 5, 'demand-v2', '2999-01-01') RETURNING id
"""


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def grant_roles(**options):
    said = StringIO()
    call_command("grant_roles", names=PREFIX, stdout=said, **options)
    return said.getvalue()


@contextmanager
def acting_as(role):
    run(f"SET LOCAL ROLE {role}")
    try:
        yield
    finally:
        run("RESET ROLE")


def is_refused(role, statement):
    """True if the role lacks the right. Raises any other error."""
    with acting_as(role):
        try:
            with transaction.atomic():
                run(statement)
        except DatabaseError as error:
            if not isinstance(error.__cause__, InsufficientPrivilege):
                raise
            return True
    return False


def database_name():
    return connection.ops.quote_name(connection.settings_dict["NAME"])


def close_to_the_public():
    """Default rights of PUBLIC would hide missing rights of a role."""
    run(f"REVOKE ALL ON DATABASE {database_name()} FROM PUBLIC")
    run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    run("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC")


def open_to_the_public():
    run(f"GRANT CONNECT, TEMPORARY ON DATABASE {database_name()} TO PUBLIC")
    run("GRANT USAGE ON SCHEMA public TO PUBLIC")
    run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC")


@pytest.fixture
def roles(db):
    """The rollback at the end of the test removes them."""
    close_to_the_public()
    grant_roles()


@pytest.fixture
def as_app(roles):
    with acting_as(ROLES.app):
        yield


def test_the_app_runs_every_operation_on_tasks(as_app):
    first, second, third = SuggestionFactory.create_batch(3)
    services.prioritize_suggestion(second.id, actor="maria", priority=10)
    for suggestion in (first, second):
        services.approve_suggestion(suggestion.id, actor="maria")
    services.reject_suggestion(third.id, actor="maria", reason="Road works")
    restored = services.undo_rejection(third.id, actor="maria")
    undone = services.approve_suggestion(restored.id, actor="maria").task
    services.undo_approval(undone.id, actor="maria")

    task = services.claim_next_task("van-1", actor="api", key="k")
    assert services.claim_next_task("van-1", actor="api", key="k") == task
    services.extend_lease(task.id, actor="api")
    services.release_task(task.id, actor="api", reason="Flat tyre")
    services.reassign_task(task.id, "van-2", actor="maria", reason="Nearer")
    services.complete_task(task.id, actor="api")
    other = services.claim_next_task("van-1", actor="api")
    services.cancel_task(other.id, actor="maria", reason="Road works")

    assert sorted(Task.objects.values_list("status", flat=True)) == [
        "cancelled",
        "cancelled",
        "completed",
    ]


def test_the_app_syncs_stations_and_status(as_app):
    sync([a_station("1"), a_station("uuid-2"), a_station("3")])
    record([a_status("1", 0), a_status("uuid-2"), a_status("3", 0)])
    record([a_status("1"), a_status("uuid-2", 0)], minutes=40)
    sync([a_station("1", name="Renamed"), a_station("3")])

    assert Station.objects.present().count() == 2


def test_the_app_prunes_tasks(roles):
    old_tasks(1)

    with acting_as(ROLES.app):
        assert prune_all() == [services.Pruned(tasks=1, events=0)]


def test_only_the_migrator_prunes_events(roles):
    old_tasks(1)

    with acting_as(ROLES.app), pytest.raises(DatabaseError, match="denied for table task_events"):
        prune_all(with_events=True)
    with acting_as(ROLES.migrator):
        assert prune_all(with_events=True) == [services.Pruned(tasks=1, events=2)]


def test_the_app_creates_finds_and_revokes_tokens(as_app):
    token, secret = services.create_token(UserFactory(), actor="maria", label="Depot")

    assert services.find_token(secret) == token
    services.revoke_token(token.id, actor="maria")
    assert services.find_token(secret) is None


def test_the_app_sweeps(as_app):
    TaskFactory(assigned=True, lease_expires_at=MORNING)
    SuggestionFactory(expires_at=MORNING)
    services.claims.ClaimKey.objects.create(
        actor="api", key="k", worker_id="van-1", task_id=1, created_at=MORNING
    )

    Session.objects.create(session_key="ended", expire_date=MORNING)

    swept = services.sweep(actor="sweep")

    counts = (swept.released, swept.expired, swept.forgotten, swept.sessions)
    assert counts == (1, 1, 1, 1)


def test_the_app_enters_suggestions_in_bulk(as_app):
    def enter(*stations, **options):
        rows = [services.SuggestionRow(station, 87, 6, "87 is empty") for station in stations]
        return services.ingest_suggestions(
            rows, source="demand-v2", actor="test", replace=True, **options
        )

    enter(1, 2)
    enter(9, dry_run=True)
    result = enter(2, 3)

    assert (result.inserted, result.refreshed, result.removed) == (1, 1, 1)


def test_the_app_serves_the_console_with_accounts_and_sessions(roles, client):
    UserFactory(username="maria")
    suggestion = SuggestionFactory()

    def post(path, **data):
        answer = client.post(f"/admin/{path}", data)
        # A form with errors returns 200.
        assert answer.status_code == 302, answer.content

    with acting_as(ROLES.app):
        client.post("/admin/login/", {"username": "maria", "password": "a wrong one"})
        post("login/", username="maria", password=PASSWORD)
        post("dispatch/suggestion/", action="approve_selected", _selected_action=[suggestion.id])
        post("auth/group/add/", name="Night shift", permissions=[Permission.objects.first().id])
        words = {"password1": "8-bicycles", "password2": "8-bicycles"}
        post("dispatch/user/add/", username="tom", usable_password="true", **words)
        tom = User.objects.get(username="tom")
        tom.groups.add(Group.objects.get(name="Night shift"))
        post(f"dispatch/user/{tom.id}/delete/", post="yes")
        # Deleting an account deletes its log entries.
        User.objects.get(username="maria").delete()
        call_command("clearsessions")

    assert Task.objects.get().suggestion_id == suggestion.id
    assert not LogEntry.objects.exists()


def test_the_app_runs_preflight_and_check_invariants(as_app):
    call_command("preflight")
    call_command("check_invariants", stdout=StringIO())


def test_the_app_reads_every_table(roles):
    for table in connection.introspection.table_names():
        assert not is_refused(ROLES.app, f"SELECT * FROM {table} LIMIT 1"), table


NOT_FOR_THE_APP = {
    "empty_a_table": "TRUNCATE tasks",
    "drop_a_table": "DROP TABLE tasks",
    "switch_off_a_rule": "ALTER TABLE tasks DISABLE TRIGGER USER",
    "switch_off_all_rules": "SET session_replication_role = replica",
    "drop_a_rule": "DROP TRIGGER pgtrigger_event_is_append_only_9c5b0 ON task_events",
    "make_a_table": "CREATE TABLE public.mine (id int)",
    "make_a_rule": "CREATE TRIGGER mine BEFORE INSERT ON tasks EXECUTE FUNCTION mine()",
    "make_an_index": "CREATE INDEX ON tasks (qty)",
    "make_a_schema": "CREATE SCHEMA mine",
    "make_a_role": "CREATE ROLE mine",
    "change_an_event": "UPDATE task_events SET actor = 'nobody'",
    "delete_an_event": "DELETE FROM task_events",
    "lock_out_others": "LOCK TABLE task_events IN ACCESS EXCLUSIVE MODE",
    "pretend_a_migration": "INSERT INTO django_migrations (app, name) VALUES ('a', 'b')",
    "change_a_content_type": "UPDATE django_content_type SET model = ''",
    "change_a_permission": "UPDATE auth_permission SET name = ''",
    "change_the_consoles_log": "UPDATE django_admin_log SET change_message = ''",
    "set_a_sequence_back": "SELECT setval('tasks_id_seq', 1)",
}


@pytest.mark.parametrize("statement", NOT_FOR_THE_APP.values(), ids=NOT_FOR_THE_APP.keys())
def test_the_app_may_not(statement, roles):
    assert is_refused(ROLES.app, statement)


def test_the_app_cannot_exempt_itself_from_append_only_events(roles):
    with acting_as(ROLES.app):
        run("SET LOCAL pgtrigger.ignore = '{pgtrigger_event_is_append_only_9c5b0}'")

    assert is_refused(ROLES.app, "DELETE FROM task_events")


def test_a_job_inserts_suggestions_and_reads_their_outcome(roles):
    with acting_as(ROLES.ml):
        ((id,),) = run(INSERT)
        run(
            "INSERT INTO suggestions (from_station_id, to_station_id, qty, reason)"
            " VALUES (100, 200, 5, 'Station 100 is full')"
        )
    services.approve_suggestion(id, actor="maria")

    assert Suggestion.objects.count() == 1
    with acting_as(ROLES.ml):
        assert run("SELECT reason FROM suggestions") == [("Station 100 is full",)]
        seen = run("SELECT kind, suggestion_id FROM task_events WHERE source = 'demand-v2'")
    assert seen == [("approved", id)]


def test_a_job_follows_its_tasks_and_says_when_it_proposed(roles):
    task = TaskFactory(source="demand-v2")

    with acting_as(ROLES.ml):
        run(
            "INSERT INTO suggestions (created_at, from_station_id, to_station_id, qty, reason)"
            " VALUES ('2015-01-01Z', 1, 2, 3, 'x')"
        )
        assert run("SELECT id FROM tasks WHERE source = 'demand-v2'") == [(task.id,)]


@pytest.mark.parametrize("role", ["app", "ml"])
def test_inserts_of_every_role_lift_a_sequence_that_is_behind(role, roles):
    suggestion = SuggestionFactory()
    run("SELECT setval('suggestions_id_seq', 1, false)")

    with acting_as(getattr(ROLES, role)):
        run(INSERT)

    assert Suggestion.objects.latest("id").id == suggestion.id + 1


NOT_FOR_A_JOB = {
    "choose_an_id": (
        "INSERT INTO suggestions (id, from_station_id, to_station_id, qty, reason)"
        " VALUES (7, 1, 2, 3, 'x')"
    ),
    "change": "UPDATE suggestions SET qty = 1",
    "delete": "DELETE FROM suggestions",
    "lock_a_row": "SELECT * FROM suggestions FOR UPDATE",
    "empty": "TRUNCATE suggestions",
    "copy_whole_rows": "COPY suggestions FROM STDIN",
    "advance_the_ids": "SELECT nextval('suggestions_id_seq')",
    "write_a_task": ("INSERT INTO tasks (from_station_id, to_station_id, qty) VALUES (1, 2, 3)"),
    "write_history": "INSERT INTO task_events (kind, actor) VALUES ('approved', 'maria')",
    "make_a_table": "CREATE TABLE public.mine (id int)",
    "rename_a_station": "UPDATE stations SET name = 'x'",
    "write_a_station": (
        "INSERT INTO stations (id, system, name, lat, lon) VALUES (1, 'bay', 'x', 1, 1)"
    ),
    "give_a_station_another_name": (
        "INSERT INTO station_aliases (system, feed_id, station_id) VALUES ('bay', '1', 2)"
    ),
    "write_a_status": "UPDATE station_status SET bikes = 1",
}


@pytest.mark.parametrize("statement", NOT_FOR_A_JOB.values(), ids=NOT_FOR_A_JOB.keys())
def test_a_job_may_not(statement, roles):
    assert is_refused(ROLES.ml, statement)


@pytest.mark.parametrize("table", ["suggestions", "tasks", "task_events"])
def test_triggers_never_read_a_jobs_temporary_tables(roles, table):
    open_to_the_public()
    with acting_as(ROLES.ml):
        run(
            "CREATE FUNCTION pg_temp.spy() RETURNS bigint LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'runs as %', current_user; END $$"
        )
        run(
            f"CREATE TEMP VIEW {table} AS SELECT spy AS id, spy AS suggestion_id FROM pg_temp.spy()"
        )
        run(f"GRANT SELECT ON pg_temp.{table} TO PUBLIC")
        run(INSERT.replace("suggestions", "public.suggestions"))


def test_a_job_reads_no_other_table(roles):
    for table in set(connection.introspection.table_names()) - ML_READS:
        assert is_refused(ROLES.ml, f"SELECT FROM {table}"), table


def test_later_tables_are_open_to_the_app_and_closed_to_jobs(roles):
    run("CREATE TABLE by_the_owner (id int)")
    with acting_as(ROLES.migrator):
        run("CREATE TABLE by_the_migrator (id int)")

    for table in ("by_the_owner", "by_the_migrator"):
        with acting_as(ROLES.app):
            run(f"INSERT INTO {table} VALUES (1)")
            run(f"UPDATE {table} SET id = 2")
            run(f"DELETE FROM {table}")
        assert is_refused(ROLES.ml, f"SELECT FROM {table}")


def test_a_member_of_migrator_changes_the_schema_and_grants_again(roles):
    run(f"CREATE ROLE {DEPLOY} IN ROLE {ROLES.migrator}")

    with acting_as(DEPLOY):
        run("ALTER TABLE tasks ADD COLUMN colour text")
        run("CREATE INDEX ON tasks (colour)")
        call_command("pgtrigger", "install")
        grant_roles()
        run("CREATE TABLE later (id int)")

    assert not is_refused(ROLES.app, "SELECT colour FROM tasks")
    assert not is_refused(ROLES.app, "INSERT INTO later VALUES (1)")


def own_everything(role):
    run(f"ALTER DATABASE {database_name()} OWNER TO {role}")
    for table in project_tables():
        run(f"ALTER TABLE {table} OWNER TO {role}")
    ours = "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    for (function,) in run(ours):
        run(f"ALTER FUNCTION {function} OWNER TO {role}")


def test_an_owner_without_superuser_grants_and_still_migrates(db):
    run(f"CREATE ROLE {DEPLOY} CREATEROLE")
    own_everything(DEPLOY)

    with acting_as(DEPLOY):
        grant_roles()
        grant_roles()
        run("ALTER TABLE tasks ADD COLUMN colour text")

    assert is_refused(ROLES.app, "DELETE FROM task_events")
    assert not is_refused(ROLES.app, "DELETE FROM tasks")


def test_an_owner_without_createrole_gets_a_clear_refusal(db):
    run(f"CREATE ROLE {DEPLOY}")
    own_everything(DEPLOY)
    run(f"SET LOCAL ROLE {DEPLOY}")

    with pytest.raises(CommandError, match="refuses: permission denied to create role"):
        grant_roles()


def test_granting_again_revokes_extra_rights(roles):
    run(f"GRANT ALL ON task_events, tasks TO {ROLES.app}, {ROLES.ml}")
    run(f"GRANT INSERT (id) ON suggestions TO {ROLES.ml}")

    grant_roles()

    assert is_refused(ROLES.app, "DELETE FROM task_events")
    assert is_refused(ROLES.ml, "DELETE FROM tasks")
    assert is_refused(ROLES.ml, NOT_FOR_A_JOB["choose_an_id"])


def test_a_dry_run_prints_runnable_sql_and_changes_nothing(db):
    first, *statements, last = grant_roles(dry_run=True).splitlines()

    assert (first, last) == ("BEGIN;", "COMMIT;")
    assert run(f"SELECT FROM pg_roles WHERE {OURS}") == []
    for statement in statements:
        run(statement)
    assert is_refused(ROLES.app, "DELETE FROM task_events")
    assert not is_refused(ROLES.ml, INSERT)


@pytest.mark.parametrize("prefix", ["Baywheels", "bay-wheels", "1st", "b" * 52])
def test_a_prefix_that_postgresql_would_change_is_refused(prefix, db):
    with pytest.raises(CommandError, match="is not a prefix like baywheels"):
        call_command("grant_roles", f"--names={prefix}")


def test_group_roles_cannot_log_in(roles):
    groups = f"SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_roles WHERE {OURS}"

    assert run(groups) == [(False, False, False)] * 3


def test_granting_before_migrating_is_refused(db):
    run("ALTER TABLE tasks RENAME TO old_tasks")

    with pytest.raises(CommandError, match=r"no table tasks yet: run `python manage\.py migrate`"):
        grant_roles()


def test_an_open_schema_is_closed(db):
    run("GRANT CREATE ON SCHEMA public TO PUBLIC")

    grant_roles()

    assert is_refused(ROLES.app, "CREATE TABLE public.mine (id int)")
    assert is_refused(ROLES.ml, "CREATE TABLE public.mine (id int)")


@pytest.mark.slow
def test_granting_gives_up_before_requests_queue_behind_it(transactional_db):
    with background() as start, transaction.atomic():
        run("LOCK TABLE tasks IN ACCESS SHARE MODE")
        with pytest.raises(CommandError, match="lock timeout"):
            start(grant_roles).result(timeout=30)
    assert run(f"SELECT FROM pg_roles WHERE {OURS}") == []


def url_of(login):
    parts = urlsplit(database_url())
    return parts._replace(netloc=f"{login}:{PASSWORD.replace(' ', '%20')}@:{parts.port}").geturl()


@pytest.fixture
def logins(transactional_db):
    """Committed, so that other processes see them."""
    try:
        close_to_the_public()
        grant_roles()
        for login, role in ((DEPLOY, ROLES.migrator), (WEB, ROLES.app), (JOB, ROLES.ml)):
            run(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {role}")
        run(f"ALTER ROLE {DEPLOY} SET role = '{ROLES.migrator}'")
        yield
    finally:
        everybody = ", ".join([DEPLOY, WEB, JOB, *ROLES])
        run(f"REASSIGN OWNED BY {ROLES.migrator} TO CURRENT_USER")
        run(f"DROP OWNED BY {everybody}")
        run(f"DROP ROLE {everybody}")
        open_to_the_public()


@pytest.mark.slow
def test_a_server_with_app_rights_completes_a_jobs_suggestion(logins):
    with psycopg.connect(url_of(JOB)) as job:
        (id,) = job.execute(INSERT).fetchone()

    with serve(DATABASE_URL=url_of(WEB)) as server, requests.Session() as http:

        def post(path, **body):
            answer = http.post(f"{server.url}{path}", json=body, timeout=10)
            assert answer.status_code == 200, answer.text
            return answer.json()

        post("/task/approve", suggestion_id=id)
        task = post("/dispatch/next", worker_id="van-1")
        post(f"/task/{task['id']}/complete", worker_id="van-1")

    assert Task.objects.get().status == "completed"
    with psycopg.connect(url_of(JOB)) as job:
        kinds = job.execute("SELECT kind FROM task_events ORDER BY id").fetchall()
    assert kinds == [("approved",), ("claimed",), ("completed",)]


def test_tables_of_a_deploy_login_belong_to_migrator(logins):
    with psycopg.connect(url_of(DEPLOY)) as deploy:
        deploy.execute("CREATE TABLE later (id int)")
        owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'later'"
        assert deploy.execute(owner).fetchone() == (ROLES.migrator,)
        deploy.rollback()
    with psycopg.connect(url_of(WEB)) as web, pytest.raises(InsufficientPrivilege):
        web.execute(f"SET ROLE {ROLES.migrator}")
