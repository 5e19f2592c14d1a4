"""Two gunicorn masters behind a real nginx with the shipped file."""

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

AT_ONCE = 100
LIMIT_SECONDS = 10
ELSEWHERE = "127.0.0.2"
HOST = "\r\nHost: localhost\r\n"
POST = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"


def port_of(url):
    return urlsplit(url).port


@pytest.fixture(autouse=True, scope="module")
def nginx_is_here():
    need("nginx")


@contextmanager
def two_masters(workers=1):
    """The URL of both, and each."""
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
    """The same for all tests here; each finds the tables empty."""
    return two_for_all


@pytest.fixture
def recorder():
    """nginx's URL, and the one server behind it, which keeps what it receives."""
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
def test_no_task_is_handed_out_twice_or_lost_while_both_servers_lose_processes():
    make_tasks(1200)

    with two_masters(workers=2) as (url, *servers), workers_dying(*servers) as killer:
        claimed, lost = claim_all(url, unanswered={502})

    assert killer.killed >= 2, "The test ended before anything was killed."
    assert lost > 0
    assert_each_task_was_claimed_once(claimed)


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_gone_is_not_missed():
    with two_masters() as (url, first, _):

        def claim():
            answer = requests.post(f"{url}/dispatch/next", json={"worker_id": "van-1"}, timeout=30)
            return answer.status_code

        before = {claim() for _ in range(4)}
        first.process.kill()
        first.process.wait()
        # Its worker lives on without its master for a moment, and still answers.
        with suppress(requests.ConnectionError):
            while requests.get(f"{first.url}/healthz", timeout=10):
                pass
        after = {claim() for _ in range(20)}

    assert before == after == {404}


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2)])
def test_only_what_is_safe_to_repeat_is_sent_to_another_server(method, times):
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
    """Seconds until nginx hung up on each; those dripping get a byte more between two calls."""
    start, seconds = time.monotonic(), {}
    with selectors.DefaultSelector() as watched:
        for client in clients:
            watched.register(client, selectors.EVENT_READ)
        while watched.get_map() and time.monotonic() < start + 3 * LIMIT_SECONDS:
            for key, _ in watched.select(0.2):
                watched.unregister(key.fileobj)
                seconds[key.fileobj] = time.monotonic() - start
            for client in dripping - seconds.keys():
                # The next look sees it.
                with suppress(ConnectionError):
                    client.send(b"x")
            meanwhile()
    return [seconds.get(client) for client in clients]


@pytest.mark.django_db(transaction=True)
def test_slow_clients_are_cut_off_and_take_nothing_from_others(service):
    taken = []

    def served():
        start = time.monotonic()
        assert requests.get(f"{service}/tasks", timeout=30).status_code == 200
        taken.append(time.monotonic() - start)

    with ExitStack() as stack:
        opened = lambda text: stack.enter_context(raw(service, text, ELSEWHERE))  # noqa: E731
        headers = {opened("GET /tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") for _ in range(40)}
        bodies = {opened(POST.format("/dispatch/next") + "{") for _ in range(40)}
        cut = until_cut([*headers, *bodies], headers, served)

    assert None not in cut, "Some are still there."
    assert min(cut) > LIMIT_SECONDS - 1
    assert max(cut) < LIMIT_SECONDS + 5
    # Each of them would have held a thread, and there are 8.
    assert max(taken) < LIMIT_SECONDS / 2


def test_who_does_not_read_its_answer_holds_nothing_of_the_service_and_is_cut_off():
    body = b"x" * 30_000_000

    with (
        upstream(body) as server,
        private.nginx([server.server_port] * 2) as url,
        raw(url, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", buffer=4096) as client,
    ):
        assert server.finished.acquire(timeout=LIMIT_SECONDS / 2), "The answer was not taken over."
        hung_up = select.poll()
        hung_up.register(client, 0)
        start = time.monotonic()
        assert hung_up.poll(2_000 * LIMIT_SECONDS), "It is still there."
        assert time.monotonic() - start > LIMIT_SECONDS / 2


def test_one_address_has_a_number_of_requests_at_once_and_leaves_the_others_theirs(recorder):
    url, _ = recorder
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(raw(url, POST.format("/dispatch/next"), ELSEWHERE))
        request = "GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n"
        refused = _until(lambda: answer_to(url, request, source=ELSEWHERE), is_too_many)
        assert requests.get(f"{url}/tasks", timeout=30).status_code == 200

    assert is_refusal(refused, 429)
    assert "Retry-After: 10" in refused
    assert answer_to(url, request, source=ELSEWHERE).startswith("HTTP/1.1 200 ")


def is_too_many(answer):
    return answer.startswith("HTTP/1.1 429 ")


def _until(ask, good):
    """What it is told first is not yet counted."""
    deadline = time.monotonic() + 20
    while not good(answer := ask()) and time.monotonic() < deadline:
        pass
    return answer


def test_passwords_are_tried_a_few_times_a_minute_and_the_page_is_free(recorder):
    url, server = recorder

    def tried(source):
        return answer_to(url, POST.format("/admin/login/") + "x" * 10, source=source)

    answers = [tried(ELSEWHERE) for _ in range(15)]

    assert sum(is_refusal(answer, 429) for answer in answers) >= 3
    page = f"GET /admin/login/ HTTP/1.1{HOST}\r\n"
    assert answer_to(url, page, source=ELSEWHERE).startswith("HTTP/1.1 200 ")
    assert tried("127.0.0.1").startswith("HTTP/1.1 200 ")
    assert len(server.received) < 15


# What is passed on, and what is not


def test_the_service_is_told_who_asks_by_nginx_alone(recorder):
    url, server = recorder
    lies = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "Connection": "close"}

    requests.get(url, headers=lies, timeout=30)

    ((_, _, told, _),) = server.received
    assert told["X-Forwarded-For"] == "127.0.0.1"
    assert told["X-Forwarded-Proto"] == "http"
    assert told["Host"] == urlsplit(url).netloc


def test_a_request_keeps_its_id_or_is_given_one(recorder):
    url, server = recorder
    for offered in ("phone-7.1", "a b", "x" * 65, ""):
        requests.get(url, headers={"X-Request-ID": offered}, timeout=30)

    first, *made = [headers["X-Request-ID"] for _, _, headers, _ in server.received]
    assert first == "phone-7.1"
    assert len(set(made)) == 3
    assert all(len(each) == 32 and each.isalnum() for each in made)


@pytest.mark.django_db(transaction=True)
def test_the_largest_body_is_the_same_at_nginx_and_behind_it(service, server):
    fits, does_not = b"x" * 1_000_000, b"x" * 1_000_001
    json = {"Content-Type": "application/json"}

    ask = [
        requests.post(f"{url}/task/approve", data=body, headers=json, timeout=60)
        for url in (service, server.url)
        for body in (fits, does_not)
    ]

    assert [answer.status_code for answer in ask] == [400, 413, 400, 413]
    assert ask[1].json() == ask[3].json()
    assert ask[1].headers["Server"] == "nginx"


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
    "no such version": (505, f"GET / HTTP/3.1{HOST}\r\n"),
    "what is internal": (404, f"GET /-/refusal HTTP/1.1{HOST}\r\n"),
    "nobody serves": (502, f"GET / HTTP/1.1{HOST}\r\n"),
}


@pytest.fixture(scope="module")
def alone():
    with private.nginx([private.free_port(), private.free_port()]) as url:
        yield url


@pytest.mark.parametrize(("status", "request_text"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_nginx_itself_refuses_is_json(alone, status, request_text):
    answer = answer_to(alone, request_text)

    assert is_refusal(answer, status)
    assert ("Retry-After: 2" in answer) == (status == 502)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("length", "status"), [(4094, 200), (4095, 414)])
def test_the_longest_request_line_of_nginx_is_that_of_gunicorn(service, length, status):
    line = "GET /tasks? HTTP/1.1".replace("?", "?".ljust(length - 19, "a"))
    assert len(line) == length

    # One that gunicorn finds too long it refuses as HTML.
    answer = answer_to(service, f"{line}{HOST}\r\n")

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "Content-Type: application/json" in answer
