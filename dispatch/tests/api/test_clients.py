"""Requests as stock HTTP clients send them: accepted, or refused in one true sentence."""

import gzip
import json
import socket
from http.client import HTTPResponse
from urllib.parse import quote, urlsplit

import pytest

from dispatch.models import Task

from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.mark.parametrize("body", ["null", '""'])
@pytest.mark.parametrize("operation", ["complete", "extend"])
def test_null_and_empty_text_are_no_body_where_it_is_optional(client, operation, body):
    task = TaskFactory(assigned=True)

    answer = client.post(f"/task/{task.id}/{operation}", body, JSON)

    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("path", ["/task/approve", "/dispatch/next", "/suggestions"])
@pytest.mark.parametrize("body", ["null", '""'])
def test_null_and_empty_text_lack_required_fields(client, path, body):
    answer = client.post(path, body, JSON)

    assert answer.status_code == 400
    assert answer.json()["detail"].endswith("This field is required.")


def test_compressed_body_is_415_that_names_content_encoding(client):
    body = gzip.compress(b'{"worker_id": "van-1"}')

    answer = client.post("/dispatch/next", body, JSON, headers={"Content-Encoding": "gzip"})

    assert answer.status_code == 415
    assert answer.json() == {"detail": "Send the body without Content-Encoding."}


def test_identity_is_no_content_encoding(client):
    answer = client.post(
        "/dispatch/next", {"worker_id": "van-1"}, JSON, headers={"Content-Encoding": "identity"}
    )

    assert answer.json() == {"detail": "No available tasks"}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
def test_body_of_another_content_type_is_415_and_names_the_accepted_ones(client, content_type):
    answer = client.post("/dispatch/next", b'{"worker_id": "van-1"}', content_type)

    assert answer.status_code == 415
    assert answer.json()["detail"].endswith("Send it as application/json.")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
@pytest.mark.parametrize(
    "path",
    ["/suggestions", "/task/approve", "/dispatch/next", "/task/7/complete", "/docs", "/healthz"],
)
def test_trailing_slash_redirects_and_keeps_method_body_and_query(client, method, path):
    answer = client.generic(method, f"{path}/?limit=5&cursor=a%2Fb")

    assert answer.status_code == 307
    assert answer["Location"] == f"{path}?limit=5&cursor=a%2Fb"


@pytest.mark.parametrize(
    "path",
    ["/nothing/", "/task/x/complete/", "/suggestions//", "/tasks/next/"],
)
def test_unknown_path_with_a_trailing_slash_is_404(client, path):
    for method in ("GET", "POST"):
        assert client.generic(method, path).status_code == 404


@pytest.mark.parametrize("name", ["created_before", "created_after"])
def test_plus_of_an_offset_may_arrive_as_a_space(client, name):
    TaskFactory()

    answers = [
        client.get(f"/tasks?{name}={time}").json()
        for time in ("2026-11-01T02:00:00+02:00", "2026-11-01T00:00:00Z")
    ]

    assert answers[0] == answers[1]
    assert isinstance(answers[0], list)
    assert client.get(f"/tasks?{name}={quote('2026-11-01 00:00')}").status_code == 400


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/", 400)])
def test_only_probes_accept_any_host(client, path, status):
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == status


def head(length):
    return (
        f"POST /dispatch/next HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def answer_on(connected):
    answer = HTTPResponse(connected)
    answer.begin()
    answer.read()
    return answer


@pytest.mark.parametrize(("size", "status"), [(100_000, 415), (1_500_000, 415)])
def test_refused_body_does_not_cost_the_next_request_on_the_connection(server, size, status):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        for _ in range(3):
            connected.sendall(head(size) + b"x" * size)
            refused = answer_on(connected)
            assert refused.status == status
            assert refused.headers["Connection"] == "keep-alive"


def test_body_too_long_to_discard_closes_the_connection_as_announced(server):
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        connected.sendall(head(50_000_000) + b"x" * 11_000_000)
        refused = answer_on(connected)

    assert refused.status == 415
    assert refused.headers["Connection"] == "close"


@pytest.mark.parametrize("value", ["/admin", "/zzz", "/"])
def test_client_cannot_set_the_path_below_which_the_service_runs(server, value):
    address = urlsplit(server.url)
    raw = f"GET /pub/admin/login/ HTTP/1.1\r\nHost: localhost\r\nSCRIPT_NAME: {value}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        connected.sendall(raw.encode())
        answer = answer_on(connected)

    assert answer.status == 404
    assert answer.headers["Content-Type"] == JSON


BROKEN = {
    "control character in a header": (400, "Idempotency-Key: a\x7f\r\n"),
    "too many headers": (431, "".join(f"X-{number}: 1\r\n" for number in range(200))),
}


@pytest.mark.parametrize(("status", "headers"), BROKEN.values(), ids=BROKEN.keys())
def test_refusals_of_gunicorn_are_json(server, status, headers):
    address = urlsplit(server.url)
    raw = f"GET / HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connected:
        connected.sendall(raw.encode("latin-1"))
        answer = HTTPResponse(connected)
        answer.begin()

        assert (answer.status, answer.headers["Content-Type"]) == (status, JSON)
        assert json.loads(answer.read())["detail"]


# Pages of other origins


PAGE = {"Origin": "https://dashboard.example.org"}
LISTED = ["https://dashboard.example.org", "capacitor://localhost"]


@pytest.fixture
def listed_origins(settings):
    """Set CORS up as settings.py does with CORS_ALLOWED_ORIGINS."""
    settings.CORS_ALLOWED_ORIGINS = LISTED
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]


@pytest.mark.usefixtures("listed_origins")
@pytest.mark.parametrize("auth", ["open", "required"])
@pytest.mark.parametrize("origin", LISTED)
def test_preflight_of_a_listed_origin_needs_no_token(client, settings, auth, origin):
    settings.API_AUTH = auth

    answer = client.options(
        "/dispatch/next", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )

    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == origin
    assert "Idempotency-Key" in answer["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer
    assert "origin" in answer["Vary"].lower()


@pytest.mark.usefixtures("listed_origins")
@pytest.mark.parametrize("path", ["/suggestions", "/nothing", "/suggestions?limit=x"])
def test_responses_to_a_listed_origin_are_readable_errors_too(client, path):
    answer = client.get(path, headers=PAGE)

    assert answer["Access-Control-Allow-Origin"] == PAGE["Origin"]
    assert "Retry-After" in answer["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("path", "origin"), [("/suggestions", "http://evil.example"), ("/admin/login/", LISTED[0])]
)
@pytest.mark.usefixtures("listed_origins")
def test_other_origins_and_the_console_stay_unreadable(client, path, origin):
    assert "Access-Control-Allow-Origin" not in client.get(path, headers={"Origin": origin})


FOREIGN = {
    "another host": {"Origin": "http://evil.example"},
    "another port": {"Origin": "http://testserver:3001"},
    "sandboxed frame": {"Origin": "null"},
    "page by its referer": {"Referer": "http://evil.example/testserver"},
    "sister subdomain": {"Sec-Fetch-Site": "same-site"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "app on a host of this name": {"Origin": "capacitor://testserver"},
    "broken origin": {"Origin": "http://["},
}
OWN = {
    "no page": {},
    "own page": {"Origin": "http://testserver"},
    "own page over TLS": {"Origin": "https://testserver"},
    "own page by its referer": {"Referer": "http://testserver/docs"},
    "listed page": {**PAGE, "Sec-Fetch-Site": "cross-site"},
    "listed app": {"Origin": "capacitor://localhost"},
    "trusted by the console": {"Origin": "https://any.example.net"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded", "text/plain"])
def test_open_api_refuses_writes_of_foreign_pages(client, settings, headers, content_type):
    settings.CORS_ALLOWED_ORIGINS = LISTED
    suggestion = SuggestionFactory()

    answer = client.post(
        "/task/approve", f'{{"suggestion_id": {suggestion.id}}}', content_type, headers=headers
    )

    assert answer.status_code == 403
    assert "A page of another origin sent this request." in answer.json()["detail"]
    assert not Task.objects.exists()
    assert client.get("/suggestions", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN.keys())
def test_open_api_accepts_writes_of_own_and_listed_pages(client, settings, headers):
    settings.CORS_ALLOWED_ORIGINS = LISTED
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.net"]
    suggestion = SuggestionFactory()

    answer = client.post("/task/approve", {"suggestion_id": suggestion.id}, JSON, headers=headers)

    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("header", ["Origin", "Referer"])
@pytest.mark.parametrize(("scheme", "status"), [("https", 200), ("http", 403)])
def test_page_over_plain_http_is_foreign_to_a_request_over_tls(client, header, scheme, status):
    body = {"suggestion_id": SuggestionFactory().id}
    page = {header: f"{scheme}://testserver"}

    answer = client.post("/task/approve", body, JSON, headers=page, secure=True)

    assert answer.status_code == status
