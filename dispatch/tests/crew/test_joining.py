"""Phones join a crew over HTTP, stay signed in by a cookie, and sign out."""

import re
from datetime import timedelta

import pytest
import requests
from django.db.models import F
from django.test import Client

from dispatch import services
from dispatch.crew.joining import label_of
from dispatch.models import Crew, CrewDevice, WrongCode
from dispatch.services.enrolment import OF_ADDRESS

from ..support.factories import CrewFactory
from ..support.server import serve

pytestmark = pytest.mark.django_db

CREW = {"worker_id": "van-3", "name": "Night van", "language": "es"}
NONCE = "n" * 22
OWN_PAGE = {"X-Crew": "1", "Sec-Fetch-Site": "same-origin"}
ENDS = ("code", "join", "signout")


@pytest.fixture
def crew(db):
    return CrewFactory(**CREW)


@pytest.fixture
def code(crew):
    return services.create_code(crew.pk, actor="maria")[1]


def post(client, path, body, **headers):
    headers = {name: value for name, value in {**OWN_PAGE, **headers}.items() if value}
    return client.post(f"/crew/api/{path}", body, "application/json", headers=headers)


def join(client, code, nonce=NONCE, **headers):
    return post(client, "join", {"code": code, "nonce": nonce}, **headers)


def refusal(response):
    return response.status_code, response.json()["code"]


def ask(client):
    return client.get("/crew/api/state", headers=OWN_PAGE)


def is_signed_in(client):
    response = ask(client)
    assert response.status_code == 200 or refusal(response) == (401, "signed_out")
    return response.status_code == 200


def test_phone_learns_whose_code_it_is_then_joins_and_signs_out(client, code):
    agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile/15E148 Safari/604.1"

    assert post(client, "code", {"code": code}).json() == {"crew": CREW}
    response = join(client, code, **{"User-Agent": agent})

    phone = CrewDevice.objects.get()
    assert phone.label == "iPhone, Safari"
    assert response.json() == {"crew": CREW, "device": {"id": phone.pk, "label": phone.label}}
    assert is_signed_in(client)
    response = post(client, "signout", {})
    assert (response.status_code, response.json()) == (200, {})
    assert client.cookies["crew"].value == ""
    phone.refresh_from_db()
    assert phone.revoked_by == "crew van-3"
    assert refusal(post(client, "signout", {})) == (401, "signed_out")


def test_repeated_request_gets_the_same_answer_and_a_working_cookie(client, code):
    first = join(client, code)
    late = first.cookies["crew"].value
    again = join(Client(), code)

    assert again.json() == first.json()
    assert again.cookies["crew"].value == late
    assert is_signed_in(client)


def test_another_phone_with_a_spent_code_is_refused_and_counted(client, code):
    join(client, code)

    response = join(Client(), code, "m" * 22)

    assert refusal(response) == (404, "wrong_code")
    assert "crew" not in response.cookies
    assert WrongCode.objects.count() == 1


def test_revoked_phone_is_signed_out_with_its_next_request(client, code):
    join(client, code)
    services.revoke_device(CrewDevice.objects.get().pk, actor="maria")

    response = post(client, "signout", {})

    assert refusal(response) == (401, "signed_out")
    assert response.json()["detail"] == "This phone is signed out."
    assert response["WWW-Authenticate"]


def test_phones_of_an_inactive_crew_are_signed_out(client, crew, code):
    join(client, code)
    Crew.objects.update(active=False)

    assert not is_signed_in(client)


# The cookie


@pytest.mark.parametrize("https_only", [True, False])
@pytest.mark.parametrize("base_path", ["", "/bikes"])
def test_cookie_reaches_the_crew_page_alone(client, code, settings, https_only, base_path):
    settings.HTTPS_ONLY, settings.BASE_PATH = https_only, base_path

    cookies = join(client, code).cookies

    (name,) = cookies
    assert name == ("__Secure-crew" if https_only else "crew")
    assert cookies[name]["path"] == f"{base_path}/crew/"
    assert cookies[name]["max-age"] == timedelta(days=90).total_seconds()
    assert cookies[name]["samesite"] == "Lax"
    assert cookies[name]["httponly"] is True
    assert bool(cookies[name]["secure"]) is https_only
    assert cookies[name]["domain"] == ""
    removal = post(client, "signout", {}).cookies[name]
    assert (removal["path"], removal["max-age"], removal.value) == (cookies[name]["path"], 0, "")
    assert bool(removal["secure"]) is https_only


def test_cookie_is_renewed_with_the_first_request_of_a_day(client, code):
    secret = join(client, code).cookies["crew"].value
    assert "crew" not in ask(client).cookies

    CrewDevice.objects.update(last_seen_at=F("last_seen_at") - timedelta(days=1))
    renewed = ask(client).cookies["crew"]
    assert (renewed.value, renewed["max-age"]) == (secret, timedelta(days=90).total_seconds())
    assert "crew" not in ask(client).cookies


def test_signing_out_on_a_new_day_does_not_renew_the_cookie(client, code):
    join(client, code)
    CrewDevice.objects.update(last_seen_at=F("last_seen_at") - timedelta(days=1))

    assert post(client, "signout", {}).cookies["crew"].value == ""


@pytest.mark.parametrize("secret", ["x", "x" * 5000, "é\x80", '"', "bw_token"])
def test_forged_cookie_is_signed_out(client, code, secret):
    join(client, code)
    client.cookies["crew"] = secret

    assert refusal(post(client, "signout", {})) == (401, "signed_out")


# Pages of other origins

SITES = {
    "our own page": ({}, 200),
    "plain HTTP": ({"Sec-Fetch-Site": None}, 200),
    "plain HTTP with Origin": ({"Sec-Fetch-Site": None, "Origin": "http://testserver"}, 200),
    "behind TLS": ({"Sec-Fetch-Site": None, "Origin": "https://testserver"}, 200),
    "no X-Crew": ({"X-Crew": None}, 403),
    "wrong X-Crew": ({"X-Crew": "yes"}, 403),
    "same site": ({"Sec-Fetch-Site": "same-site"}, 403),
    "cross site": ({"Sec-Fetch-Site": "cross-site"}, 403),
    "address bar": ({"Sec-Fetch-Site": "none"}, 403),
    "cross site that names us": (
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
        403,
    ),
    "other origin": ({"Sec-Fetch-Site": None, "Origin": "http://evil.example"}, 403),
    "other port": ({"Sec-Fetch-Site": None, "Origin": "http://testserver:8080"}, 403),
    "sandboxed frame": ({"Sec-Fetch-Site": None, "Origin": "null"}, 403),
    "malformed origin": ({"Sec-Fetch-Site": None, "Origin": "http://[x"}, 403),
}


@pytest.mark.parametrize("site", SITES)
def test_only_our_own_page_may_join_and_sign_out(client, code, settings, site):
    settings.CORS_ALLOWED_ORIGINS = ["http://evil.example"]
    settings.CSRF_TRUSTED_ORIGINS = ["http://evil.example"]
    headers, status = SITES[site]

    answers = [post(client, "code", {"code": code}, **headers), join(client, code, **headers)]
    join(client, code)
    answers.append(post(client, "signout", {}, **headers))

    assert [answer.status_code for answer in answers] == [status] * 3
    if status == 403:
        assert {answer.json()["code"] for answer in answers} == {"foreign_page"}
        assert is_signed_in(client)


def test_form_of_a_foreign_page_cannot_sign_a_phone_in(client, code):
    form = {"code": code, "nonce": NONCE}

    assert client.post("/crew/api/join", form).status_code == 403
    assert client.post("/crew/api/join", form, headers=OWN_PAGE).status_code == 415
    assert not CrewDevice.objects.exists()


# Wrong codes


@pytest.mark.parametrize("path", ["code", "join"])
def test_too_many_wrong_codes_are_429_with_retry_after(client, code, path):
    for _ in range(OF_ADDRESS.tries):
        assert refusal(post(client, path, {"code": "XXXX-XXXX", "nonce": NONCE})) == (
            404,
            "wrong_code",
        )

    response = post(client, path, {"code": code, "nonce": NONCE})

    assert refusal(response) == (429, "too_many_tries")
    assert 0 < int(response["Retry-After"]) <= OF_ADDRESS.span.total_seconds()
    assert join(Client(REMOTE_ADDR="192.0.2.9"), code).status_code == 200


def test_tries_count_for_the_address_that_the_proxy_reports(client, code, settings):
    settings.BEHIND_PROXY = True
    WrongCode.objects.bulk_create([WrongCode(address="192.0.2.9")] * OF_ADDRESS.tries)

    def status(forwarded):
        return post(client, "code", {"code": code}, **{"X-Forwarded-For": forwarded}).status_code

    assert status("192.0.2.8, 192.0.2.9") == 429
    assert status("192.0.2.9, 192.0.2.8") == 200


# Hostile requests


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "",
        "[",
        "[]",
        "7",
        '"BCDF-GHJK"',
        "null",
        "{}",
        b"\xff\xfe{}",
        "[" * 5000,
        '{"code": "BCDF-GHJK", "code": "BCDF-GHJK"}',
        '{"code": NaN, "nonce": 1e400}',
        *(
            f'{{"code": {code}, "nonce": "{NONCE}"}}'
            for code in ("null", "7", "[]", "{}", "true", '""', '"\\u0000"', f'"{"B" * 100_000}"')
        ),
        *(
            f'{{"code": "BCDF-GHJK", "nonce": {nonce}}}'
            for nonce in (
                "null",
                "7",
                "[]",
                '""',
                '"short"',
                '"n n n n n n n n n"',
                f'"{"n" * 65}"',
            )
        ),
        '{"code": "BCDF-GHJK", "nonce": "nnnnnnnnnnnnnnnnnnnnnn\\u0000"}',
        '{"code": "BCDF-GHJK", "nonce": "nnnnnnnnnnnnnnnnnnnnnn\\n"}',
        '{"code": "\\ud800", "nonce": "\\ud800"}',
    ],
)
def test_faulty_body_is_refused_with_a_code(client, code, body):
    for path in ("code", "join"):
        response = post(client, path, body)
        data = response.json()
        assert response.status_code in (400, 404), data
        assert data["detail"]
        assert data["code"] in ("invalid", "wrong_code")
    assert not CrewDevice.objects.exists()


def test_huge_body_is_refused_with_a_code(client):
    assert refusal(post(client, "join", f'{{"code": "{"x" * 1_000_000}"}}')) == (413, "too_large")


@pytest.mark.parametrize("path", ENDS)
def test_other_methods_are_refused_with_a_code(client, code, path):
    join(client, code)
    for method in (client.get, client.put, client.delete):
        assert refusal(method(f"/crew/api/{path}", headers=OWN_PAGE)) == (405, "method_not_allowed")


def test_unknown_address_of_the_crew_api_is_refused_with_a_code(client):
    assert refusal(post(client, "nothing", {})) == (404, "not_found")


# Labels


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
            "iPhone, Safari",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Mobile/15E148",
            "iPhone",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) CriOS/137.0 Mobile/15E148 Safari/604.1",
            "iPhone, Chrome",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/137.0.0.0 Mobile Safari/537.36",
            "Android phone, Chrome",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) "
            "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Android phone, Samsung Internet",
        ),
        ("Mozilla/5.0 (Android 15; Mobile; rv:139.0) Firefox/139.0", "Android phone, Firefox"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
            "(KHTML, like Gecko) Version/18.5 Safari/605.1.15",
            "Mac, Safari",
        ),
        ("<script>alert(1)</script>", "Unknown device"),
        ("", "Unknown device"),
    ],
)
def test_label_names_the_kind_of_phone_and_browser(agent, label):
    assert label_of(agent) == label


# A real server


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_log_holds_neither_codes_nor_secrets():
    crew = CrewFactory(worker_id="van-3")
    code = services.create_code(crew.pk, actor="maria")[1]
    with serve(LOG_LEVEL="DEBUG") as server, requests.Session() as phone:
        phone.headers.update(OWN_PAGE)
        for body in ({"code": code}, {"code": "XXXX-XXXX"}, {"code": 7}, {}):
            phone.post(f"{server.url}/crew/api/code", json=body, timeout=10)
        joined = phone.post(
            f"{server.url}/crew/api/join", json={"code": code, "nonce": NONCE}, timeout=10
        )
        secret = phone.cookies["crew"]
        signed_out = phone.post(f"{server.url}/crew/api/signout", json={}, timeout=10)
        log = server.log.read_text()

    assert (joined.status_code, signed_out.status_code) == (200, 200)
    assert "/crew/api/join 200" in log
    for text in (code, code.replace("-", ""), NONCE, secret):
        assert text not in log
    assert not re.search(r"[A-Za-z0-9_-]{43}", log)
