"""API tokens: created, shown once, used and revoked."""

import io
import re
from datetime import timedelta

import pytest
import requests
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dispatch import services
from dispatch.exceptions import NotFound, Refusal
from dispatch.models import ApiToken, Task, TaskEvent, User

from ..support.factories import TaskFactory, UserFactory

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"bw_[A-Za-z0-9_-]{43}")


def new_token(**fields):
    return services.create_token(UserFactory(), actor="test", label="A phone", **fields)


def command(*arguments):
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue()


def test_only_the_digest_of_a_token_is_stored():
    token, secret = new_token(worker_id="van-1")

    assert SECRET.fullmatch(secret)
    (row,) = ApiToken.objects.values()
    assert secret not in str(row)
    assert row["digest"] == services.tokens.digest_of(secret) != secret
    assert secret.startswith(row["prefix"])
    assert len(row["prefix"]) < 12
    assert services.find_token(secret) == token


def test_secrets_of_tokens_differ():
    user = UserFactory()
    secrets = {services.create_token(user, actor="test", label="x")[1] for _ in range(50)}

    assert len(secrets) == 50


@pytest.mark.parametrize(
    "end",
    [
        lambda: ApiToken.objects.update(revoked_at=Now()),
        lambda: ApiToken.objects.update(expires_at=Now()),
        lambda: User.objects.update(is_active=False),
        lambda: ApiToken.objects.all().delete(),
    ],
    ids=["revoked", "expired", "inactive", "deleted"],
)
def test_token_that_is_not_usable_is_not_found(end):
    _, secret = new_token()
    end()

    assert services.find_token(secret) is None


def test_finding_takes_one_query_and_records_use_every_five_minutes():
    _, secret = new_token()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            services.find_token(secret)
        return [query["sql"].split()[0] for query in captured]

    assert queries() == ["SELECT", "UPDATE"]
    assert queries() == ["SELECT"]
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=5))
    assert queries() == ["SELECT", "UPDATE"]


@pytest.mark.parametrize("secret", ["", "x", "bw_" + "A" * 43, "é", "\ud800", "x" * 100_000])
def test_unknown_token_costs_the_same_query_as_a_known_one(secret):
    new_token()

    with CaptureQueriesContext(connection) as captured:
        assert services.find_token(secret) is None
    assert [query["sql"].split()[0] for query in captured] == ["SELECT"]


def test_revoking_again_changes_nothing():
    token, _ = new_token()

    first = services.revoke_token(token.pk, actor="maria")
    again = services.revoke_token(token.pk, actor="tom")

    assert (first.changed, again.changed) == (True, False)
    assert (again.revoked_at, again.revoked_by) == (first.revoked_at, "maria")
    with pytest.raises(NotFound):
        services.revoke_token(999, actor="maria")


def test_crews_token_without_a_worker_id_is_refused(roles):
    user = UserFactory()
    user.groups.set([apps.get_model("auth", "Group").objects.get(name="worker")])

    with pytest.raises(Refusal, match="needs its worker_id"):
        services.create_token(user, actor="test", label="x")
    assert not ApiToken.objects.exists()


# Commands


def test_create_token_creates_account_role_and_token(roles):
    secret = command("create_token", "van-3", "--role", "worker", "--worker-id", "van-3").strip()

    token = services.find_token(secret)
    assert (token.user.username, token.worker_id, token.label) == ("van-3", "van-3", "van-3")
    assert sorted(token.permissions) == ["claim_task", "view_station"]
    account = User.objects.get()
    assert not account.has_usable_password()
    assert not account.is_staff


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nobody"], "There is no account nobody"),
        (["van-3", "--role", "worker"], "needs its worker_id"),
        (["van-3", "--role", "ml", "--days", "0"], "--days takes 1 to 3650"),
        (["van-3", "--role", "ml", "--label", "x" * 101], "at most 100 characters"),
        (["van-3", "--role", "worker", "--worker-id", "x" * 201], "at most 200 characters"),
        (["van-3", "--role", "worker", "--worker-id", "a\nb"], "one line of printable"),
        (["van-3", "--role", "worker", "--worker-id", " "], "--worker-id must not be empty"),
        (["v" * 151, "--role", "ml"], "at most 150 characters"),
    ],
)
def test_refused_create_token_creates_nothing_and_prints_one_line(roles, arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        command("create_token", *arguments)
    assert not ApiToken.objects.exists()
    assert not User.objects.filter(username="van-3").exists()


def test_list_tokens_shows_states_but_no_secrets(roles):
    secret = command("create_token", "job", "--role", "ml", "--label", "nightly").strip()
    command("create_token", "job", "--days", "30")
    revoked = ApiToken.objects.last()
    command("revoke_token", str(revoked.pk))

    listed = command("list_tokens")

    first, second = listed.splitlines()[1:]
    assert all(each in first for each in ("job", "nightly", "never", "usable"))
    assert "revoked" in second
    assert secret not in listed


def test_create_token_strips_the_worker_id_as_the_api_does(roles):
    command("create_token", "van-3", "--role", "worker", "--worker-id", " van-3 ")

    assert ApiToken.objects.get().worker_id == "van-3"


def test_revoking_tokens_of_an_unknown_account_is_an_error(roles):
    with pytest.raises(CommandError, match="There is no account typo"):
        command("revoke_token", "--user", "typo")


def test_revoke_token_revokes_all_tokens_of_an_account(roles):
    for _ in range(2):
        command("create_token", "job", "--role", "ml")
    command("create_token", "other", "--role", "ml")

    assert command("revoke_token", "--user", "job") == "2 revoked.\n"
    assert ApiToken.objects.usable().get().user.username == "other"


# The console


def test_console_shows_a_new_secret_once(admin_client):
    owner = UserFactory()

    page = admin_client.post(
        "/admin/dispatch/apitoken/add/",
        {"user": owner.pk, "label": "A phone", "worker_id": "van-1"},
    )

    (secret,) = SECRET.findall(page.content.decode())
    assert services.find_token(secret).created_by == "admin"
    assert "no-store" in page["Cache-Control"]
    for url in ("", f"{ApiToken.objects.get().pk}/change/"):
        again = admin_client.get(f"/admin/dispatch/apitoken/{url}").content.decode()
        assert secret not in again
    assert secret not in str(admin_client.session.items())
    assert secret not in str(admin_client.cookies)


def test_console_refuses_a_crews_token_without_the_crew(admin_client, roles):
    owner = UserFactory()
    owner.groups.set([apps.get_model("auth", "Group").objects.get(name="worker")])

    page = admin_client.post(
        "/admin/dispatch/apitoken/add/", {"user": owner.pk, "label": "A phone"}
    )

    assert "token needs the crew" in page.content.decode()
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"expires_at": "9999-12-31T00:00"}, {"worker_id": "a\nb"}, {"label": ""}]
)
def test_console_refuses_invalid_tokens(admin_client, fields):
    form = {"user": UserFactory().pk, "label": "A phone", "expires_at": "2030-01-01T00:00"}

    page = admin_client.post("/admin/dispatch/apitoken/add/", {**form, **fields})

    assert "errorlist" in page.content.decode()
    assert not ApiToken.objects.exists()


def test_console_creates_no_token_for_a_superuser_unless_one_asks(client):
    maker, root = UserFactory(is_superuser=False), UserFactory()
    maker.user_permissions.set(Permission.objects.filter(codename__endswith="_apitoken"))
    client.force_login(maker)

    page = client.post("/admin/dispatch/apitoken/add/", {"user": root.pk, "label": "Mine"})

    assert "errorlist" in page.content.decode()
    assert not ApiToken.objects.exists()


def test_console_revokes_a_token(admin_client):
    token, secret = new_token()

    admin_client.post(f"/admin/dispatch/apitoken/{token.pk}/revoke/")

    assert services.find_token(secret) is None
    assert ApiToken.objects.get().revoked_by == "admin"


# Over HTTP


def test_crew_claims_and_completes_with_its_token_on_a_real_server(closed_server, roles):
    secret = command("create_token", "van-3", "--role", "worker", "--worker-id", "van-3").strip()
    TaskFactory()

    def post(path, body, authorization):
        headers = {"Authorization": authorization} if authorization else {}
        return requests.post(closed_server.url + path, json=body, headers=headers, timeout=10)

    for wrong in (
        "", "Token", "Bearer", f"Basic {secret}", f"Token {secret}x", f"Token {secret} x",
        "Token " + "x" * 5000, "Token é", secret,
    ):  # fmt: skip
        answer = post("/dispatch/next", {"worker_id": "van-3"}, wrong)
        assert answer.status_code == 401, wrong
        assert answer.headers["WWW-Authenticate"] == "Token"
    assert Task.objects.ready().exists()
    claimed = post("/dispatch/next", {"worker_id": "van-3"}, f"Token {secret}")
    assert claimed.status_code == 200
    done = post(f"/task/{claimed.json()['id']}/complete", {}, f"bearer {secret}")
    assert done.status_code == 200
    logged = closed_server.log.read_text()

    assert set(TaskEvent.objects.values_list("actor", "worker_id")) == {("van-3", "van-3")}
    assert "POST /dispatch/next" in logged
    assert secret[6:] not in logged
