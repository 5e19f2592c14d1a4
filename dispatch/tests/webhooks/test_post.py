"""The addresses that webhooks may be sent to, and the deadline of an exchange."""

import socket
import time
from contextlib import suppress
from ipaddress import ip_network

import pytest

from dispatch import services
from dispatch.exceptions import Refusal
from dispatch.webhooks.addresses import Forbidden, resolve
from dispatch.webhooks.post import post, retry_after

from ..support.receivers import LOOPBACK

FORBIDDEN = [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0",
    "localhost",
    "ⓛocalhost",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[64:ff9b:1::808:808]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[2001:db8::1]",
    "[2001::1]",
    "[100::1]",
]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_internal_and_special_addresses_are_refused_in_any_form(host):
    with pytest.raises((Forbidden, OSError)):
        resolve(f"https://{host}/hooks", [])


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]", "[64:ff9b::808:808]"])
def test_public_addresses_are_allowed(host):
    assert resolve(f"https://{host}/a?b=c", []).path == "/a?b=c"


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "https://8.8.8.8:8443/"])
def test_public_addresses_get_https_on_its_own_port_only(url):
    with pytest.raises(Forbidden, match="443"):
        resolve(url, LOOPBACK)


def test_allowed_network_may_be_internal_with_any_port():
    target = resolve("http://10.1.2.3:8080/", [ip_network("10.1.0.0/16")])

    assert (target.address, target.port, target.is_tls) == ("10.1.2.3", 8080, False)
    with pytest.raises(Forbidden):
        resolve("http://10.2.2.3:8080/", [ip_network("10.1.0.0/16")])


def test_only_the_checked_addresses_of_a_name_are_tried(monkeypatch):
    answers = [(0, 0, 0, "", (address, 443)) for address in ("10.0.0.1", "8.8.4.4")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)

    assert resolve("https://example.org/", []).address == "8.8.4.4"


def test_name_is_resolved_once_and_its_address_connected_to(receiver, monkeypatch):
    port = int(receiver.url.split(":")[2].split("/")[0])
    asked = []

    def answer(host, *_, **__):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)

    assert post(f"http://example.org:{port}/", b"{}", {}, allowed=LOOPBACK).status == 204
    # The second look-up, of a connection to an address, has no name to resolve.
    assert asked == ["example.org", "127.0.0.1"]
    assert receiver.requests[0][0]["host"] == f"example.org:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://example.org:8443/",
        "https://user:password@example.org/",
        "https:///hooks",
        "https://example.org/#part",
        "https://example.org/a b",
        "https://[::1/",
        "https://example.org:0/",
        "ftp://example.org/",
        "https://exämple.org/",
        "javascript:alert(1)",
        "https://example.org/" + "x" * 500,
    ],
)
def test_address_of_an_endpoint_is_refused(url):
    with pytest.raises(Refusal):
        services.check_url(url)


def test_slow_drip_ends_at_the_deadline(receiver):
    def drip(handler):
        with suppress(OSError):
            while True:
                handler.wfile.write(b"H")
                time.sleep(0.05)

    receiver.answer = drip
    began = time.monotonic()

    answer = post(receiver.url, b"{}", {}, allowed=LOOPBACK, deadline=0.5)

    assert answer.status is None
    assert "longer than 0.5 seconds" in answer.text
    assert time.monotonic() - began < 5


def test_server_that_never_finishes_its_handshake_ends_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"https://127.0.0.1:{port}/"

        answer = post(url, b"{}", {}, allowed=LOOPBACK, deadline=0.5)

    assert (answer.status, answer.text) == (None, "It took longer than 0.5 seconds.")


def test_endless_answer_is_read_up_to_a_limit(receiver):
    def flood(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65_536)

    receiver.answer = flood

    assert post(receiver.url, b"{}", {}, allowed=LOOPBACK).text == "x" * 1000


def test_refused_connection_and_nonsense_are_failures_in_words(receiver):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    refused = post(f"http://127.0.0.1:{free}/", b"{}", {}, allowed=LOOPBACK)
    receiver.answer = lambda handler: handler.wfile.write(b"nonsense\r\n\r\n")

    nonsense = post(receiver.url, b"{}", {}, allowed=LOOPBACK)

    assert "refused" in refused.text
    assert (nonsense.status, nonsense.text[:13]) == (None, "BadStatusLine")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("9" * 30, 999_999_999),
    ],
)
def test_retry_after_is_read(value, seconds):
    assert retry_after(value) == seconds
