"""Reading feeds from the web and from files, within limits of size and time."""

import gzip
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest

from dispatch.gbfs import BadFeed, FeedName, Validators, fetch, find_feed, find_listed
from dispatch.gbfs.access import Access, is_public
from dispatch.gbfs.deadline import Deadline
from dispatch.gbfs.fetch import LARGEST

from ..support.feeds import a_status, document

pytestmark = pytest.mark.slow

FEED = document([a_status("1")])
REFUSED = "http://127.0.0.1:1/feed"


class Site:
    """A web server. `answers` has the responses of each path; the last one is repeated."""

    def __init__(self):
        self.answers, self.requests = {}, []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.partition("?")[0]
                site.requests.append((path, dict(self.headers)))
                answers = site.answers[path]
                with suppress(BrokenPipeError, ConnectionResetError):
                    (answers.pop(0) if len(answers) > 1 else answers[0])(self)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def serves(self, path, *answers):
        self.answers[path] = list(answers)
        return self.url + path


@contextmanager
def serving():
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.fixture
def other_site():
    with serving() as site:
        yield site


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The seconds between attempts. No test waits for them."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def with_body(body, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(to):
    return with_body(b"", 302, Location=to)


def test_answer_has_the_validators_for_the_next_request(site):
    url = site.serves("/feed", with_body(FEED, ETag='"v1"', Last_Modified="yesterday"))

    answer = fetch(url)

    assert answer.content == FEED
    assert answer.validators == Validators('"v1"', "yesterday")


def test_unchanged_feed_is_not_sent_again(site):
    url = site.serves("/feed", with_body(b"", 304))

    assert fetch(url, Validators('"v1"', "yesterday")) is None

    ((_, headers),) = site.requests
    assert (headers["If-None-Match"], headers["If-Modified-Since"]) == ('"v1"', "yesterday")


def test_validators_too_long_to_store_are_dropped(site):
    url = site.serves("/feed", with_body(FEED, ETag="x" * 501, Last_Modified="y" * 101))

    assert fetch(url).validators == Validators()


def test_compressed_answer_is_decompressed(site):
    url = site.serves("/feed", with_body(gzip.compress(FEED), Content_Encoding="gzip"))

    assert fetch(url).content == FEED


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_answer_over_the_size_limit_is_refused(site, encoding):
    body = b" " * (LARGEST + 1)
    sent = gzip.compress(body, 1) if encoding == "gzip" else body
    url = site.serves("/feed", with_body(sent, Content_Encoding=encoding))

    with pytest.raises(BadFeed, match=r"/feed: larger than 20 MB\.$"):
        fetch(url)


# Attempts


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient_error_is_retried(site, pauses, status):
    url = site.serves("/feed", with_body(b"", status), with_body(b"", status), with_body(FEED))

    assert fetch(url).content == FEED
    # The first attempt after an error is made at once.
    first, second = pauses
    assert 1 <= first <= 2
    assert 2 <= second <= 4


def test_lasting_error_is_reported_after_three_attempts(site):
    url = site.serves("/feed", with_body(b"", 503))

    with pytest.raises(BadFeed, match=r"/feed: 503 Service Unavailable\.$"):
        fetch(url)
    assert len(site.requests) == 3


def test_retry_after_is_respected(site, pauses):
    url = site.serves("/feed", with_body(b"", 429, Retry_After=7), with_body(FEED))

    assert fetch(url).content == FEED
    assert pauses == [7]


def test_retry_after_beyond_the_deadline_ends_the_attempts(site, pauses):
    url = site.serves("/feed", with_body(b"", 429, Retry_After=3600))

    with pytest.raises(BadFeed, match=r"/feed: 429 .* no request for 3,600 seconds\.$") as error:
        fetch(url)
    assert error.value.retry_after == 3600
    assert (len(site.requests), pauses) == (1, [])


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(FEED)))
    handler.end_headers()
    handler.wfile.write(FEED[:-5])


def not_http(handler):
    handler.wfile.write(b"SSH-2.0\r\n")


BROKEN = [cut_off, not_http, with_body(FEED, Content_Encoding="gzip")]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_answer_is_retried(site, broken):
    url = site.serves("/feed", broken, with_body(FEED))

    assert fetch(url).content == FEED
    assert len(site.requests) == 2


@pytest.mark.parametrize("broken", BROKEN)
def test_answer_that_stays_broken_is_reported_after_three_attempts(site, broken):
    url = site.serves("/feed", broken)

    with pytest.raises(BadFeed, match=r"/feed: .*\.$"):
        fetch(url)
    assert len(site.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_permanent_error_is_reported_at_once(site, status):
    url = site.serves("/feed", with_body(b"", status))

    with pytest.raises(BadFeed, match=f"/feed: {status} "):
        fetch(url)
    assert len(site.requests) == 1


def with_reason(code):
    return lambda handler: handler.wfile.write(b"HTTP/1.1 %d No\0t\x1b[31m\r\n\r\n" % code)


def no_status_line(handler):
    handler.wfile.write(b"H\0I\x1b[31m" + b"x" * 900 + b"\r\n")


def bad_retry_after(handler):
    handler.wfile.write(b"HTTP/1.1 503 No\r\nRetry-After: b\0r\x1b[31m\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [with_reason(404), with_reason(503), no_status_line, bad_retry_after]
)
def test_server_texts_are_reported_in_one_printable_line(site, answer):
    url = site.serves("/feed", answer)

    with pytest.raises(BadFeed, match="/feed: ") as error:
        fetch(url)

    assert str(error.value).isprintable()
    assert len(str(error.value)) <= 500


def test_refused_connection_is_one_line():
    with pytest.raises(BadFeed, match=r"^http://127.0.0.1:1/feed: .*refused\.$"):
        fetch(REFUSED)


def test_neither_error_nor_log_shows_the_query(site, caplog):
    down = site.serves("/feed", with_body(b"", 503))
    lost = site.serves("/lost", redirect("/lost?token=secret"))

    for url in (down, lost, REFUSED):
        with pytest.raises(BadFeed) as error:
            fetch(f"{url}?key=secret")
        assert "secret" not in str(error.value)
    assert "secret" not in caplog.text


# The deadline


@pytest.mark.parametrize("part", ["headers", "body"])
def test_deadline_ends_an_answer_that_drips(site, pauses, part):
    """No byte is late, and the whole answer would take a few seconds."""
    hung_up = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.wfile.write(b"X: " if part == "headers" else b"Content-Length: 500\r\n\r\n")
        try:
            for _ in range(500):
                hung_up.wait(0.01)
                handler.wfile.write(b"x")
            handler.wfile.write(b"\r\n\r\n")
        except OSError:
            hung_up.set()

    url = site.serves("/feed", drip)
    with pytest.raises(BadFeed, match=r"/feed: it took too long\.$"):
        fetch(url, deadline=0.3)
    assert hung_up.wait(10), "the connection was not closed"
    assert (len(site.requests), pauses) == (1, [])


def test_deadline_includes_the_pauses(site, pauses):
    url = site.serves("/feed", with_body(b"", 503))

    with pytest.raises(BadFeed, match="it took too long"):
        fetch(url, deadline=0.9)
    assert pauses == []


def test_pause_beyond_the_deadline_is_reported(site, pauses):
    url = site.serves("/feed", with_body(b"", 429, Retry_After=7))

    with pytest.raises(BadFeed, match="no request for 7 seconds") as error:
        fetch(url, deadline=5)
    assert (error.value.retry_after, pauses) == (7, [])


def test_deadline_ends_a_body_without_a_length(site):
    """The cut looks like the end of the body."""

    def hang(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + FEED)
        handler.wfile.flush()
        handler.rfile.read(1)

    with pytest.raises(BadFeed, match=r"/feed: it took too long\.$"):
        fetch(site.serves("/feed", hang), deadline=0.3)


def test_deadline_holds_in_any_thread(site):
    url = site.serves("/feed", lambda handler: handler.rfile.read(1))

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(fetch, url, deadline=0.3)
        other = threads.submit(fetch, site.serves("/other", with_body(FEED)))
        assert other.result().content == FEED
        with pytest.raises(BadFeed, match=r"/feed: it took too long\.$"):
            slow.result()


def test_deadline_leaves_nothing_behind():
    near, far = socket.socketpair()

    with near, far, Deadline(60) as deadline:
        deadline.watch(near)
        [watched] = deadline.watched

    assert watched.fileno() == -1
    deadline.timer.join(10)
    assert not deadline.timer.is_alive()


# Redirects, proxies and addresses


def test_redirects_are_followed(site):
    site.serves("/feed", with_body(FEED))
    url = site.serves("/old", redirect("/feed"))

    assert fetch(url).content == FEED


@pytest.mark.parametrize(
    "to", ["file:///etc/hostname", "file://feeds.example/x", "ftp://127.0.0.1/feed", "data:,x"]
)
def test_redirects_lead_to_http_only(site, to):
    url = site.serves("/old", redirect(to))

    with pytest.raises(BadFeed, match=r"only http\(s\) addresses are read, also after redirects"):
        fetch(url)
    assert len(site.requests) == 1


@pytest.mark.parametrize("to", ["http://[", "http://x:port/", "http://", "http://ex ample/"])
def test_redirect_to_a_malformed_address_is_one_line(site, to):
    url = site.serves("/old", redirect(to))

    with pytest.raises(BadFeed, match="/old: "):
        fetch(url)


INTERNAL = ["localhost", "[::ffff:127.0.0.1]", "2130706433"]


@pytest.mark.parametrize("host", INTERNAL)
def test_redirect_leads_to_an_internal_host_only_if_a_source_names_it(site, host):
    there = site.serves("/feed", with_body(FEED)).replace("127.0.0.1", host)
    url = site.serves("/old", redirect(there))

    with pytest.raises(BadFeed, match="/old: it leads to the internal host"):
        fetch(url)
    assert [path for path, _ in site.requests] == ["/old"]
    assert fetch(url, access=Access([url, there])).content == FEED


@pytest.mark.parametrize("host", INTERNAL)
def test_discovery_leads_to_an_internal_host_only_if_a_source_names_it(site, host):
    there = site.serves("/status", with_body(FEED)).replace("127.0.0.1", host)
    url = site.serves("/gbfs.json", with_body(discovery(station_status=there)))

    with pytest.raises(BadFeed, match="/status: it leads to the internal host"):
        find_feed([url], FeedName.STATUS, {})
    assert find_feed([url, there], FeedName.STATUS, {}).document.stations


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fd00::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:192.168.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("224.0.0.1", False),
    ],
)
def test_loopback_link_local_and_private_addresses_are_internal(address, public):
    assert is_public(address) == public


def test_network_of_a_listed_system_must_be_allowed(site):
    """Accounts of the console need not be trusted with the network."""
    status = site.serves("/status", with_body(FEED))
    url = site.serves("/gbfs.json", with_body(discovery(station_status=status)))

    for networks in ([], [ip_network("10.0.0.0/8")]):
        with pytest.raises(BadFeed, match=r"internal host 127.0.0.1. FEED_ALLOW_NETWORKS can"):
            find_listed(url, FeedName.STATUS, {}, Access([url], {}, networks))
    assert site.requests == []
    access = Access([url], {}, [ip_network("127.0.0.0/8")])
    assert find_listed(url, FeedName.STATUS, {}, access).document.stations


def test_listed_address_is_read_without_its_discovery_document(site, other_site):
    """It gets no headers: they are for the origin of the discovery document."""
    url = site.serves("/gbfs.json", with_body(b""))
    there = other_site.serves("/status", with_body(FEED))
    access = Access([url], KEY, [ip_network("127.0.0.0/8")])

    found = find_listed(url, FeedName.STATUS, {}, access, listed=there)

    assert (found.address, len(found.document.stations)) == (there, 1)
    assert (keys_sent(other_site), site.requests) == ([None], [])


KEY = {"X-Api-Key": "secret"}


def keys_sent(site):
    return [headers.get("X-Api-Key") for _, headers in site.requests]


def test_headers_with_a_key_go_to_the_source_and_its_own_feeds(site):
    status = site.serves("/status", with_body(FEED))
    url = site.serves("/gbfs.json", with_body(discovery(station_status=status)))

    find_feed([url], FeedName.STATUS, {}, headers=KEY)

    assert keys_sent(site) == ["secret", "secret"]


def test_headers_with_a_key_do_not_go_to_other_origins(site, other_site):
    there = other_site.serves("/status", with_body(FEED))
    redirecting = site.serves("/old", redirect(there))
    listing = site.serves("/gbfs.json", with_body(discovery(station_status=there)))

    for url in (redirecting, listing):
        find_feed([url], FeedName.STATUS, {}, headers=KEY)

    assert keys_sent(site) == ["secret", "secret"]
    assert keys_sent(other_site) == [None, None]


def test_headers_with_a_key_are_not_in_errors_or_logs(site, caplog):
    url = site.serves("/feed", with_body(b"", 401))

    with caplog.at_level("DEBUG"), pytest.raises(BadFeed, match="401") as error:
        find_feed([url], FeedName.STATUS, {}, headers=KEY)

    assert "secret" not in f"{error.value!r} {caplog.text} {Access([url], KEY)!r}"


def test_circular_redirects_end(site):
    url = site.serves("/old", redirect("/old"))

    with pytest.raises(BadFeed, match=r"/old: too many redirects\.$"):
        fetch(url)
    assert len(site.requests) == 6


def test_proxy_is_taken_from_the_environment(site, monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", site.url.replace("//", "//van:p%40ss@"))
    site.serves("http://feeds.example/feed", with_body(FEED))

    assert fetch("http://feeds.example/feed").content == FEED

    ((_, headers),) = site.requests
    assert headers["proxy-authorization"] == "Basic dmFuOnBAc3M="


def test_no_proxy_is_respected(site, monkeypatch):
    monkeypatch.setenv("http_proxy", REFUSED)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    assert fetch(site.serves("/feed", with_body(FEED))).content == FEED


@pytest.mark.parametrize(
    "source",
    ["file:///etc/hostname", "ftp://feeds.example/x", "data:,x", "HTTPX://x", "gopher:x", "http:x"],
)
def test_other_schemes_are_refused(source):
    with pytest.raises(BadFeed, match="only http, https and files are read"):
        fetch(source)


def test_address_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(BadFeed) as error:
        fetch("https://maria:secret@feeds.example/")

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("source", ["http://[", "http://exa mple/", "http://", "http://x:port/"])
def test_malformed_address_is_one_line(source):
    with pytest.raises(BadFeed, match=r"not an address\.$"):
        fetch(source)


def test_only_plain_files_within_the_size_limit_are_read(tmp_path):
    feed, large, pipe = (tmp_path / name for name in ("feed", "large", "pipe"))
    feed.write_bytes(FEED)
    with large.open("wb") as file:
        file.truncate(LARGEST + 1)
    os.mkfifo(pipe)

    assert fetch(str(feed)).content == FEED
    with pytest.raises(BadFeed, match="large: larger than 20 MB"):
        fetch(str(large))
    for not_plain in (pipe, tmp_path):
        with pytest.raises(BadFeed, match=f"{not_plain}: not a plain file"):
            fetch(str(not_plain))
    with pytest.raises(BadFeed, match="none: No such file"):
        fetch(str(tmp_path / "none"))


# From a source to the feed


def discovery(**feeds):
    listed = [{"name": name, "url": url} for name, url in feeds.items()]
    return json.dumps({"data": {"en": {"feeds": listed}}}).encode()


def test_discovery_document_leads_to_the_feed_and_the_system_name(site):
    status = site.serves("/status", with_body(FEED))
    system = site.serves("/system", with_body(b'{"data": {"system_id": "bay"}}'))
    body = discovery(station_status=status, system_information=system)
    url = site.serves("/gbfs.json", with_body(body))

    found = find_feed([url], FeedName.STATUS, {})

    assert (found.address, found.system) == (status, "bay")
    assert found.document.stations


def test_known_system_name_is_not_requested(site):
    status = site.serves("/status", with_body(FEED))
    body = discovery(station_status=status, system_information=f"{site.url}/nothing")
    url = site.serves("/gbfs.json", with_body(body))

    find_feed([url], FeedName.STATUS, {}, with_system=False)

    assert [path for path, _ in site.requests] == ["/gbfs.json", "/status"]


def listing_a_busy_system(site):
    status = site.serves("/status", with_body(FEED))
    system = site.serves("/system", with_body(b"", 429, Retry_After=3600))
    body = discovery(station_status=status, system_information=system)
    return site.serves("/gbfs.json", with_body(body))


def test_pause_that_a_needed_document_asks_for_is_reported(site):
    url = listing_a_busy_system(site)

    with pytest.raises(BadFeed, match="/system: 429") as error:
        find_feed([url], FeedName.STATUS, {})
    assert error.value.retry_after == 3600


def test_feed_is_read_although_a_wished_document_asks_for_a_pause(site):
    url = listing_a_busy_system(site)

    found = find_feed([url], FeedName.STATUS, {}, with_system=False, wished=[FeedName.SYSTEM])

    assert found.document.stations
    assert "429" in found.problems[FeedName.SYSTEM]


def test_discovered_address_too_long_to_store_is_refused(site):
    for length, refusal in ((2000, "status: 404"), (2001, "it lists no http.s. address of")):
        address = f"{site.url}/status?".ljust(length, "x")
        site.serves("/status", with_body(b"", 404))
        url = site.serves("/gbfs.json", with_body(discovery(station_status=address)))

        with pytest.raises(BadFeed, match=refusal):
            find_feed([url], FeedName.STATUS, {})


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_discovery_document_cannot_lead_to_a_file(site, tmp_path, scheme):
    file = tmp_path / "station_status.json"
    file.write_bytes(FEED)
    url = site.serves("/gbfs.json", with_body(discovery(station_status=f"{scheme}{file}")))
    in_a_file = tmp_path / "gbfs.json"
    in_a_file.write_bytes(discovery(station_status=f"{scheme}{file}"))

    for source in (url, str(in_a_file)):
        with pytest.raises(BadFeed, match=r"it lists no http\(s\) address of station_status"):
            find_feed([source], FeedName.STATUS, {})


def test_feed_of_another_kind_is_refused_by_name(tmp_path):
    file = tmp_path / "feed.json"
    file.write_bytes(FEED)

    with pytest.raises(BadFeed, match=r"it is station_status, not station_information\.$"):
        find_feed([str(file)], FeedName.INFORMATION, {})


def test_several_files_may_be_given(tmp_path):
    feed, system = tmp_path / "a", tmp_path / "b"
    feed.write_bytes(FEED)
    system.write_bytes(b'{"data": {"system_id": "bay"}}')

    assert find_feed([str(feed), str(system)], FeedName.STATUS, {}).system == "bay"
    with pytest.raises(BadFeed, match="No source is a station_status feed or lists one"):
        find_feed([str(system)], FeedName.STATUS, {})
