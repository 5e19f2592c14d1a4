"""Two gunicorn masters behind a real nginx with the shipped configuration."""

import select
import selectors
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import requests

from deploy import private

from ..support.loads import assert_each_task_was_claimed_once, claim_all, make_tasks, workers_dying
from ..support.server import serve
from ..support.upstreams import need, upstream

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

# nginx.conf's limits: simultaneous requests of an address, and a client's pause.
AT_ONCE = 100
PAUSE_SECONDS = 10
# The longest wait for the effect of such a pause.
PATIENCE_SECONDS = 3 * PAUSE_SECONDS
ELSEWHERE = "127.0.0.2"
HOST = "\r\nHost: localhost\r\n"
POST = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"


def port_of(url):
    return urlsplit(url).port


@pytest.fixture(autouse=True, scope="module")
def nginx_is_installed():
    need("nginx")


@contextmanager
def two_masters(workers=1):
    """Yield nginx's URL and the two servers behind it."""
    with (
        serve(workers, BEHIND_PROXY="true") as first,
        serve(workers, BEHIND_PROXY="true") as second,
        private.nginx([port_of(first.url), port_of(second.url)]) as url,
    ):
        yield url, first, second


@pytest.fixture(scope="module")
def two_for_all(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), two_masters() as (url, _, _):
        yield url


@pytest.fixture
def service(transactional_db, two_for_all):
    """The URL that tests of this module share; each test finds the tables empty."""
    return two_for_all


@pytest.fixture
def recorder():
    """nginx's URL and the one server behind it, which records its requests."""
    with upstream() as server, private.nginx([server.server_port] * 2) as url:
        yield url, server


@contextmanager
def raw(url, text="", source="127.0.0.1", buffer=None):
    with socket.socket() as client:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(30)
        client.bind((source, 0))
        client.connect(("127.0.0.1", port_of(url)))
        client.sendall(text.encode("latin-1"))
        yield client


def answer_to(url, text, **options):
    with raw(url, text, **options) as client:
        return client.recv(65_536).decode()


def is_refusal(answer, status):
    head, _, body = answer.partition("\r\n\r\n")
    return (
        head.startswith(f"HTTP/1.1 {status} ")
        and "Content-Type: application/json" in head
        and "X-Request-ID: " in head
        and body.startswith('{"detail": "')
    )


# Dying processes


@pytest.mark.django_db(transaction=True)
def test_killed_processes_of_both_servers_lose_no_task():
    make_tasks(1200)

    with two_masters(workers=2) as (url, *servers), workers_dying(*servers) as killer:
        claimed, lost = claim_all(url, unanswered={502})

    assert killer.killed >= 2, "The test ended before a process was killed."
    assert lost > 0
    assert_each_task_was_claimed_once(claimed)


@pytest.mark.django_db(transaction=True)
def test_no_request_fails_after_one_server_dies():
    with two_masters() as (url, first, _):

        def claim():
            answer = requests.post(f"{url}/dispatch/next", json={"worker_id": "van-1"}, timeout=30)
            return answer.status_code

        before = {claim() for _ in range(4)}
        first.process.kill()
        first.process.wait()
        # Its worker outlives the master for a moment and still answers.
        with suppress(requests.ConnectionError):
            while requests.get(f"{first.url}/healthz", timeout=10):
                pass
        after = {claim() for _ in range(20)}

    assert before == after == {404}


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2)])
def test_only_safe_requests_are_repeated_on_another_server(method, times):
    with (
        upstream(answers=False) as one,
        upstream(answers=False) as other,
        private.nginx([one.server_port, other.server_port]) as url,
    ):
        answer = requests.request(method, f"{url}/dispatch/next", timeout=30)

    assert answer.status_code == 502
    assert len(one.received + other.received) == times


# Slow clients


def until_cut(clients, dripping, meanwhile):
    """Return the time at which nginx hung up on each client, or None.

    Calls `meanwhile` again and again; the dripping clients send one more byte between two calls.
    """
    deadline, cut_at = time.monotonic() + PATIENCE_SECONDS, {}
    with selectors.DefaultSelector() as watched:
        for client in clients:
            watched.register(client, selectors.EVENT_READ)
        while watched.get_map() and time.monotonic() < deadline:
            for key, _ in watched.select(0.2):
                watched.unregister(key.fileobj)
                cut_at[key.fileobj] = time.monotonic()
            for client in dripping - cut_at.keys():
                # The next select sees a connection that has just closed.
                with suppress(ConnectionError):
                    client.send(b"x")
            meanwhile()
    return [cut_at.get(client) for client in clients]


@pytest.mark.django_db(transaction=True)
def test_slow_clients_are_cut_off_and_hold_no_thread(service):
    start, served_at = time.monotonic(), []

    def serve_others():
        assert requests.get(f"{service}/tasks", timeout=30).status_code == 200
        served_at.append(time.monotonic())

    with ExitStack() as stack:
        unfinished = (
            "GET /tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
            POST.format("/dispatch/next") + "{",
        )
        headers, bodies = (
            {stack.enter_context(raw(service, text, ELSEWHERE)) for _ in range(40)}
            for text in unfinished
        )
        cut_at = until_cut([*headers, *bodies], headers, serve_others)

    assert None not in cut_at, "Some clients are still connected."
    # nginx counts milliseconds.
    assert min(cut_at) - start > PAUSE_SECONDS - 0.01
    # If the 80 slow clients had reached the 8 threads, no one else would be served before the cut.
    assert sum(moment < min(cut_at) for moment in served_at) > 8


def test_client_that_does_not_read_is_cut_off_and_holds_no_thread():
    body, start = b"x" * 30_000_000, time.monotonic()

    with (
        upstream(body) as server,
        private.nginx([server.server_port] * 2) as url,
        raw(url, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", buffer=4096) as client,
    ):
        hung_up = select.poll()
        hung_up.register(client, 0)
        assert server.finished.acquire(timeout=PATIENCE_SECONDS), "nginx did not buffer the answer."
        assert not hung_up.poll(0), "The server had to wait until nginx hung up."
        assert hung_up.poll(1_000 * PATIENCE_SECONDS), "The client is still connected."
        assert time.monotonic() - start >= PAUSE_SECONDS


def test_simultaneous_requests_are_limited_for_each_address(recorder):
    url, _ = recorder
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(raw(url, POST.format("/dispatch/next"), ELSEWHERE))
        request = "GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
        refused = ask_until(is_too_many, lambda: answer_to(url, request, source=ELSEWHERE))
        assert requests.get(f"{url}/tasks", timeout=30).status_code == 200

    assert is_refusal(refused, 429)
    assert "Retry-After: 10" in refused
    assert answer_to(url, request, source=ELSEWHERE).startswith("HTTP/1.1 200 ")


def is_too_many(answer):
    return answer.startswith("HTTP/1.1 429 ")


def ask_until(expected, ask):
    """Return the first expected answer: nginx counts a new connection with a delay."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not expected(answer := ask()) and time.monotonic() < deadline:
        pass
    return answer


def test_sign_in_attempts_are_limited_but_the_page_is_not(recorder):
    url, server = recorder

    def tried(source):
        return answer_to(url, POST.format("/admin/login/") + "x" * 10, source=source)

    answers = [tried(ELSEWHERE) for _ in range(15)]

    assert sum(is_refusal(answer, 429) for answer in answers) >= 3
    page = f"GET /admin/login/ HTTP/1.1{HOST}\r\n"
    assert answer_to(url, page, source=ELSEWHERE).startswith("HTTP/1.1 200 ")
    assert tried("127.0.0.1").startswith("HTTP/1.1 200 ")
    assert len(server.received) < 15


# Headers and bodies


def test_client_cannot_forge_forwarding_headers(recorder):
    url, server = recorder
    forged = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Connection": "close"}

    requests.get(url, headers=forged, timeout=30)

    ((_, _, headers, _),) = server.received
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["Host"] == urlsplit(url).netloc


def test_request_id_is_kept_if_valid_and_made_otherwise(recorder):
    url, server = recorder
    for offered in ("phone-7.1", "a b", "x" * 65, ""):
        requests.get(url, headers={"X-Request-ID": offered}, timeout=30)

    first, *made = [headers["X-Request-ID"] for _, _, headers, _ in server.received]
    assert first == "phone-7.1"
    assert len(set(made)) == 3
    assert all(len(each) == 32 and each.isalnum() for each in made)


@pytest.mark.django_db(transaction=True)
def test_nginx_and_the_service_have_the_same_largest_body(service, server):
    largest, too_large = b"x" * 1_000_000, b"x" * 1_000_001
    json = {"Content-Type": "application/json"}

    answers = [
        requests.post(f"{url}/task/approve", data=body, headers=json, timeout=60)
        for url in (service, server.url)
        for body in (largest, too_large)
    ]

    assert [answer.status_code for answer in answers] == [400, 413, 400, 413]
    assert answers[1].json() == answers[3].json()
    assert answers[1].headers["Server"] == "nginx"


MALFORMED = {
    "no HTTP": (400, "GARBAGE\r\n\r\n"),
    "no host": (400, "GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, f"GET / HTTP/1.1{HOST}Host: a\r\n\r\n"),
    "bad escape": (400, f"GET /%zz HTTP/1.1{HOST}\r\n"),
    "above the root": (400, f"GET /../.. HTTP/1.1{HOST}\r\n"),
    "bad length": (400, f"POST / HTTP/1.1{HOST}Content-Length: -1\r\n\r\n"),
    "bad chunk": (400, f"POST / HTTP/1.1{HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "long header": (400, f"GET / HTTP/1.1{HOST}A: {'a' * 5000}\r\n\r\n"),
    "long address": (414, f"GET /{'a' * 5000} HTTP/1.1{HOST}\r\n"),
    "trace": (405, f"TRACE / HTTP/1.1{HOST}\r\n"),
    "unknown coding": (501, f"POST / HTTP/1.1{HOST}Transfer-Encoding: gzip\r\n\r\n"),
    "unknown version": (505, f"GET / HTTP/3.1{HOST}\r\n"),
    "internal address": (404, f"GET /-/refusal HTTP/1.1{HOST}\r\n"),
    "no server": (502, f"GET / HTTP/1.1{HOST}\r\n"),
}


@pytest.fixture(scope="module")
def nginx_without_servers():
    with private.nginx([private.free_port(), private.free_port()]) as url:
        yield url


@pytest.mark.parametrize(("status", "request_text"), MALFORMED.values(), ids=MALFORMED.keys())
def test_refusals_of_nginx_are_json(nginx_without_servers, status, request_text):
    answer = answer_to(nginx_without_servers, request_text)

    assert is_refusal(answer, status)
    assert ("Retry-After: 2" in answer) == (status == 502)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("length", "status"), [(4094, 200), (4095, 414)])
def test_nginx_and_gunicorn_have_the_same_longest_request_line(service, length, status):
    line = "GET /tasks? HTTP/1.1".replace("?", "?".ljust(length - 19, "a"))
    assert len(line) == length

    # gunicorn would refuse a longer line in HTML.
    answer = answer_to(service, f"{line}{HOST}\r\n")

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/json" in answer
