"""Feeds from the web and from files: limited in size and time, whoever answers."""

import gzip
import json
import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dispatch.gbfs import BadFeed, FeedName, Validators, fetch, find_feed
from dispatch.gbfs.fetch import LARGEST

from ..support.feeds import a_status, document

FEED = document([a_status("1")])


class Site:
    """`answers`: for each path what to do with a request, the last one for ever."""

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


@pytest.fixture
def site():
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.02,))
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


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


@pytest.fixture
def pauses():
    return []


def read(source, pauses, **options):
    return fetch(source, pause=pauses.append, **options)


def test_an_answer_comes_with_what_to_ask_with_next_time(site, pauses):
    url = site.serves("/feed", with_body(FEED, ETag='"v1"', Last_Modified="yesterday"))

    answer = read(url, pauses)

    assert answer.content == FEED
    assert answer.validators == Validators('"v1"', "yesterday")


def test_what_has_not_changed_is_not_sent_again(site, pauses):
    url = site.serves("/feed", with_body(b"", 304))

    assert read(url, pauses, validators=Validators('"v1"', "yesterday")) is None

    ((_, headers),) = site.requests
    assert (headers["If-None-Match"], headers["If-Modified-Since"]) == ('"v1"', "yesterday")


def test_validators_too_long_to_keep_are_not_kept(site, pauses):
    url = site.serves("/feed", with_body(FEED, ETag="x" * 501, Last_Modified="y" * 101))

    assert read(url, pauses).validators == Validators()


def test_a_compressed_answer_is_read(site, pauses):
    url = site.serves("/feed", with_body(gzip.compress(FEED), Content_Encoding="gzip"))

    assert read(url, pauses).content == FEED


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_an_answer_that_is_too_large_is_refused_whether_it_is_compressed_or_not(
    site, pauses, encoding
):
    body = b" " * (LARGEST + 1)
    sent = gzip.compress(body, 1) if encoding == "gzip" else body
    url = site.serves("/feed", with_body(sent, Content_Encoding=encoding))

    with pytest.raises(BadFeed, match="larger than 20 MB"):
        read(url, pauses)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again(site, pauses, status):
    url = site.serves("/feed", with_body(b"", status), with_body(b"", status), with_body(FEED))

    assert read(url, pauses).content == FEED
    assert len(pauses) == 2
    assert 1 <= pauses[0] <= 2 <= pauses[1] <= 4


def test_a_trouble_that_lasts_is_told_after_three_attempts_without_what_is_secret(site, pauses):
    url = site.serves("/feed", with_body(b"", 503))

    with pytest.raises(BadFeed, match=r"/feed: 503 Service Unavailable\.$") as error:
        read(f"{url}?key=secret", pauses)

    assert len(site.requests) == 3
    assert "secret" not in str(error.value)


def with_reason(code):
    return lambda handler: handler.wfile.write(b"HTTP/1.1 %d No\0t\x1b[31m\r\n\r\n" % code)


def no_status_line(handler):
    handler.wfile.write(b"H\0I\x1b[31m" + b"x" * 900 + b"\r\n")


def an_odd_encoding(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: b\0r\x1b[31m\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [with_reason(404), with_reason(503), no_status_line, an_odd_encoding]
)
def test_what_a_server_says_is_told_in_one_printable_line(site, pauses, answer):
    url = site.serves("/feed", answer)

    with pytest.raises(BadFeed, match="/feed: ") as error:
        read(url, pauses)

    assert str(error.value).isprintable()
    assert len(str(error.value)) <= 500


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_another_try_cannot_mend_is_told_at_once(site, pauses, status):
    url = site.serves("/feed", with_body(b"", status))

    with pytest.raises(BadFeed, match=f"/feed: {status} "):
        read(url, pauses)
    assert len(site.requests) == 1


def cut_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(FEED)))
    handler.end_headers()
    handler.wfile.write(FEED[:-5])


def bad_gzip(handler):
    with_body(gzip.compress(FEED)[:-9], Content_Encoding="gzip")(handler)


def not_http(handler):
    handler.wfile.write(b"SSH-2.0\r\n")


BROKEN = [cut_off, bad_gzip, not_http, with_body(FEED, Content_Encoding="br")]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_answer_is_tried_again(site, pauses, broken):
    url = site.serves("/feed", broken, with_body(FEED))

    assert read(url, pauses).content == FEED
    assert len(pauses) == 1


def test_nobody_there_is_one_line(pauses):
    with pytest.raises(BadFeed, match=r"^http://127.0.0.1:1/feed: .*refused"):
        read("http://127.0.0.1:1/feed", pauses)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(site, pauses, part):
    ended = threading.Event()

    def drip(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if part == "body":
            handler.wfile.write(b"Content-Length: 100000\r\n\r\n")
        else:
            handler.wfile.write(b"X: ")
        while not ended.wait(0.01):
            handler.wfile.write(b"x")

    url = site.serves("/feed", drip)
    start = time.monotonic()
    try:
        with pytest.raises(BadFeed, match="it took too long"):
            read(url, pauses, deadline=0.3)
    finally:
        ended.set()
    assert time.monotonic() - start < 5
    assert pauses == []


def test_redirects_are_followed_within_the_web(site, pauses):
    site.serves("/feed", with_body(FEED))
    url = site.serves("/old", redirect("/feed"))

    assert read(url, pauses).content == FEED


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/feed", "data:,x"])
def test_redirects_do_not_lead_out_of_the_web(site, pauses, to):
    url = site.serves("/old", redirect(to))

    with pytest.raises(BadFeed, match=r"redirects to something else|302 .* is not allowed"):
        read(url, pauses)
    assert len(site.requests) == 1


def test_redirects_in_a_circle_end(site, pauses):
    url = site.serves("/old", redirect("/old"))

    with pytest.raises(BadFeed):
        read(url, pauses)
    assert len(site.requests) <= 7


@pytest.mark.parametrize(
    "source",
    ["file:///etc/hostname", "ftp://feeds.example/x", "data:,x", "HTTPX://x", "gopher:x", "http:x"],
)
def test_no_other_kind_of_address_is_read(source, pauses):
    with pytest.raises(BadFeed, match="only http, https and files are read"):
        read(source, pauses)


def test_a_password_in_an_address_is_refused_and_not_repeated(pauses):
    with pytest.raises(BadFeed) as error:
        read("https://maria:secret@feeds.example/", pauses)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("source", ["http://[", "http://exa mple/", "http://", "http://x:port/"])
def test_what_is_no_address_is_one_line(source, pauses):
    with pytest.raises(BadFeed):
        read(source, pauses)


def test_a_file_is_read_only_if_it_is_a_plain_one_and_not_too_large(tmp_path, pauses):
    feed, large, pipe = (tmp_path / name for name in ("feed", "large", "pipe"))
    feed.write_bytes(FEED)
    with large.open("wb") as file:
        file.truncate(LARGEST + 1)
    os.mkfifo(pipe)

    assert read(str(feed), pauses).content == FEED
    with pytest.raises(BadFeed, match="larger than 20 MB"):
        read(str(large), pauses)
    for not_plain in (pipe, tmp_path):
        with pytest.raises(BadFeed, match="not a plain file"):
            read(str(not_plain), pauses)
    with pytest.raises(BadFeed, match="No such file"):
        read(str(tmp_path / "none"), pauses)


# From a source to the feed


def discovery(**feeds):
    listed = [{"name": name, "url": url} for name, url in feeds.items()]
    return json.dumps({"data": {"en": {"feeds": listed}}}).encode()


def test_a_discovery_document_leads_to_the_feed_and_the_systems_name(site):
    status = site.serves("/status", with_body(FEED))
    system = site.serves("/system", with_body(b'{"data": {"system_id": "bay"}}'))
    body = discovery(station_status=status, system_information=system)
    url = site.serves("/gbfs.json", with_body(body))

    found = find_feed([url], FeedName.STATUS, {})

    assert (found.address, found.system) == (status, "bay")
    assert found.document.stations


def test_who_knows_the_systems_name_does_not_ask_for_it(site):
    status = site.serves("/status", with_body(FEED))
    body = discovery(station_status=status, system_information=f"{site.url}/nothing")
    url = site.serves("/gbfs.json", with_body(body))

    find_feed([url], FeedName.STATUS, {}, with_system=False)

    assert [path for path, _ in site.requests] == ["/gbfs.json", "/status"]


def test_a_discovery_document_leads_to_no_address_that_is_too_long_to_keep(site):
    for length, refusal in ((2000, "status: 404"), (2001, "lists no station_status on the web")):
        address = f"{site.url}/status?".ljust(length, "x")
        site.serves("/status", with_body(b"", 404))
        url = site.serves("/gbfs.json", with_body(discovery(station_status=address)))

        with pytest.raises(BadFeed, match=refusal):
            find_feed([url], FeedName.STATUS, {})


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_discovery_document_cannot_make_us_read_a_file(site, tmp_path, scheme):
    file = tmp_path / "station_status.json"
    file.write_bytes(FEED)
    url = site.serves("/gbfs.json", with_body(discovery(station_status=f"{scheme}{file}")))
    in_a_file = tmp_path / "gbfs.json"
    in_a_file.write_bytes(discovery(station_status=f"{scheme}{file}"))

    for source in (url, str(in_a_file)):
        with pytest.raises(BadFeed, match="it lists no station_status on the web"):
            find_feed([source], FeedName.STATUS, {})


def test_a_feed_of_another_kind_is_refused_by_name(tmp_path):
    file = tmp_path / "feed.json"
    file.write_bytes(FEED)

    with pytest.raises(BadFeed, match=r"it is station_status, not station_information\.$"):
        find_feed([str(file)], FeedName.INFORMATION, {})


def test_files_may_be_given_together(tmp_path):
    feed, system = tmp_path / "a", tmp_path / "b"
    feed.write_bytes(FEED)
    system.write_bytes(b'{"data": {"system_id": "bay"}}')

    assert find_feed([str(feed), str(system)], FeedName.STATUS, {}).system == "bay"
    with pytest.raises(BadFeed, match="No source is a station_status feed or leads to one"):
        find_feed([str(system)], FeedName.STATUS, {})
