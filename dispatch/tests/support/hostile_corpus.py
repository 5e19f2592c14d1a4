"""Bad requests, by hand: each must be refused with a 4xx in JSON, and change nothing.

ID and TASK stand for a suggestion and an assigned task that exist, so that nothing is refused for
want of a row. A case is (name, method, path, headers, body).
"""

from collections.abc import Iterator
from urllib.parse import quote

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ID = 7
TASK = 3
APPROVE = "/task/approve"
NEXT = "/dispatch/next"
COMPLETE = f"/task/{TASK}/complete"

Case = tuple[str, str, str, dict[str, str], bytes]

SUGGESTION_IDS = [
    "0",
    "-1",
    "-7",
    "-0.0",
    "7.5",
    "0.75e1",
    "75e-1",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "true",
    "false",
    "null",
    "[]",
    "[7]",
    "[[7]]",
    "{}",
    '{"id":7}',
    '""',
    '" "',
    '" 7 "',
    '"+7"',
    '"7.000"',
    '"7e0"',
    '"0x7"',
    '"0b111"',
    '"0o7"',
    '"1_0"',
    '"seven"',
    '"null"',
    '"true"',
    '"NaN"',
    '"7;8"',
    '"7,8"',
    '"7\'"',
    '"7--"',
    '"7\\u0000"',
    '"\\u0000"',
    '"7\\n"',
    '"\\u0667"',
    '"\\uff17"',
    '"\\u00b2"',
    '"\\ud800"',
    '"\\ud83d7"',
    '"<b>7</b>"',
    '"-7"',
    '"--7"',
    '"7-"',
    '"${7}"',
    '"{{7}}"',
    '"%37"',
    '"../7"',
    str(10**400),
    f'"{"9" * 30}"',
    f'"{"0" * 2000}7"',
    f'"{"7" * 5000}"',
    '"7 "',
    '" 7"',
]

WORKER_IDS = [
    "null",
    "1",
    "0",
    "-1",
    "1.5",
    "true",
    "false",
    "[]",
    "{}",
    '["van"]',
    '{"name":"van"}',
    '""',
    '"\\u0000"',
    '"van\\u00001"',
    '"\\ud800"',
    '"van\\udfff"',
    '"\\t"',
    '"van\\n1"',
    '"van\\r1"',
    '"\\u001b[2J"',
    '"van\\u0007"',
    '"\\u202e1nav"',
    '"van\\u20281"',
    '"\\u200b"',
    '"\\u0645\\u200c\\u200c\\u0646"',
    '"van\\u200d1"',
    '"\\ufeff"',
    '"van\\u00851"',
    "1e400",
    "-1e400",
    "1e4000",
    "NaN",
    "Infinity",
    '" "',
    f'"{"x" * 201}"',
    f'"{"🚲" * 201}"',
    f'"{"x" * 100000}"',
    '"van\t1"',
    str(10**30),
]

# The braces contain both fields, so that only the form of the JSON is wrong.
BODIES = {
    "empty": b"",
    "blank": b" \n",
    "nul": b"\x00",
    "open_brace": b"{",
    "closed_brace": b"}",
    "list": b'[{"suggestion_id": 7, "worker_id": "v"}]',
    "empty_list": b"[]",
    "string": b'"suggestion_id"',
    "number": b"7",
    "null": b"null",
    "true": b"true",
    "truncated": b'{"suggestion_id": 7, "worker_id": "v"',
    "truncated_in_a_string": b'{"suggestion_id": 7, "worker_id": "v',
    "truncated_in_an_escape": b'{"suggestion_id": 7, "worker_id": "v\\u12',
    "no_value": b'{"suggestion_id": , "worker_id": }',
    "single_quotes": b"{'suggestion_id': 7, 'worker_id': 'v'}",
    "bare_keys": b"{suggestion_id: 7, worker_id: 'v'}",
    "trailing_comma": b'{"suggestion_id": 7, "worker_id": "v",}',
    "leading_zero": b'{"suggestion_id": 07, "worker_id": 07}',
    "plus": b'{"suggestion_id": +7, "worker_id": +7}',
    "hexadecimal": b'{"suggestion_id": 0x7, "worker_id": 0x7}',
    "comment": b'{"suggestion_id": 7, "worker_id": "v" /* now */}',
    "two_documents": b'{"suggestion_id": 7, "worker_id": "v"}{"suggestion_id": 7}',
    "garbage_behind": b'{"suggestion_id": 7, "worker_id": "v"} x',
    "nul_behind": b'{"suggestion_id": 7, "worker_id": "v"}\x00',
    "same_key_twice": (
        b'{"suggestion_id": 7, "suggestion_id": 7, "worker_id": "v", "worker_id": "w"}'
    ),
    "same_key_twice_escaped": (
        b'{"suggestion_id": 7, "suggestion\\u005fid": 7, "worker_id": "v", "worker\\u005fid": "w"}'
    ),
    "same_key_twice_deep": b'{"suggestion_id": 7, "worker_id": "v", "x": {"a": 1, "a": 1}}',
    "nan_elsewhere": b'{"suggestion_id": 7, "worker_id": "v", "x": NaN}',
    "infinity_elsewhere": b'{"suggestion_id": 7, "worker_id": "v", "x": -Infinity}',
    "overflow_elsewhere": b'{"suggestion_id": 7, "worker_id": "v", "x": 1e999}',
    "five_thousand_digits": b'{"suggestion_id": 7, "worker_id": "v", "x": ' + b"9" * 5000 + b"}",
    "lists_5000_deep": b'{"suggestion_id": 7, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "lists_100000_deep": b"[" * 100_000,
    "objects_5000_deep": b'{"x":' * 5000 + b"1" + b"}" * 5000,
    "byte_order_mark": b'\xef\xbb\xbf{"suggestion_id": 7, "worker_id": "v"}',
    "invalid_utf8": b'{"suggestion_id": 7, "worker_id": "v\xff"}',
    "overlong_utf8": b'{"suggestion_id": 7, "worker_id": "v\xc0\xaf"}',
    "surrogate_utf8": b'{"suggestion_id": 7, "worker_id": "v\xed\xa0\x80"}',
    "cut_utf8": b'{"suggestion_id": 7, "worker_id": "v"}\xe2\x82',
    "latin_1": '{"suggestion_id": 7, "worker_id": "Müller"}'.encode("latin-1"),
    "utf_16": '{"suggestion_id": 7, "worker_id": "v"}'.encode("utf-16"),
    "utf_32": '{"suggestion_id": 7, "worker_id": "v"}'.encode("utf-32"),
    "raw_newline": b'{"suggestion_id": 7, "worker_id": "v\n1", "x": "\n"}',
    "raw_control": b'{"suggestion_id": 7, "worker_id": "v", "x": "\x01"}',
    "bad_escape": b'{"suggestion_id": 7, "worker_id": "v", "x": "\\x41"}',
    "form_as_json": b"suggestion_id=7&worker_id=v",
    "xml": b"<suggestion_id>7</suggestion_id>",
    "python": b"{'suggestion_id': True, 'worker_id': None}",
    "no_fields": b"{}",
    "other_fields": b'{"id": 7, "worker": "v"}',
    "fields_of_another_case": b'{"Suggestion_ID": 7, "Worker_ID": "v"}',
    "fields_one_level_down": b'{"data": {"suggestion_id": 7, "worker_id": "v"}}',
    "over_the_limit": b'{"suggestion_id": 7, "worker_id": "v", "x": "' + b"x" * 1_000_000 + b'"}',
}

GOOD_BODY = b'{"suggestion_id": 7, "worker_id": "v"}'
CONTENT_TYPES = [
    "text/plain",
    "text/html",
    "text/json",
    "application/xml",
    "application/jsonp",
    "application/json5",
    "application/octet-stream",
    "application/x-msgpack",
    "application/vnd.api+json",
    "image/png",
    "multipart/mixed; boundary=x",
    "json",
    "*/*",
    "/",
    ";",
    "application/json, text/plain",
    "application\\json",
]

FORMS = {
    "form_without_fields": b"",
    "form_of_other_fields": b"id=7&worker=v",
    "form_of_empty_fields": b"suggestion_id=&worker_id=",
    "form_with_nul": b"suggestion_id=7%00&worker_id=v%00",
    "form_with_words": b"suggestion_id=seven&worker_id=%0A",
    "form_with_arabic_digits": b"suggestion_id=%D9%A7&worker_id=%20",
    "form_with_10000_fields": b"&".join(b"f%d=1" % n for n in range(10_000)),
    "form_over_the_limit": b"x=" + b"x" * 1_000_001,
}

MULTIPART = {
    "no_boundary": ("multipart/form-data", GOOD_BODY),
    "empty_boundary": ("multipart/form-data; boundary=", GOOD_BODY),
    "boundary_that_is_nowhere": ("multipart/form-data; boundary=x", GOOD_BODY),
    "boundary_with_odd_bytes": ('multipart/form-data; boundary="x\\"y"', b"--x\r\n\r\n"),
    "cut_part": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a',
    ),
    "file_as_worker": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="worker_id"; filename="v"\r\n\r\nv\r\n'
        b"--x--\r\n",
    ),
}

PATHS = [
    "/task/0/complete",
    "/task/99/complete",
    "/task/-3/complete",
    "/task/3.0/complete",
    "/task/+3/complete",
    "/task/9223372036854775807/complete",
    "/task/9223372036854775808/complete",
    "/task/99999999999999999999999999999999/complete",
    "/task/three/complete",
    "/task/0x3/complete",
    "/task/3e0/complete",
    "/task/%D9%A3/complete",
    "/task/%EF%BC%93/complete",
    "/task/3%00/complete",
    "/task/%00/complete",
    "/task/3%0A/complete",
    "/task/3%20/complete",
    "/task/%203/complete",
    "/task/3;/complete",
    "/task/3'/complete",
    "/task/null/complete",
    "/task//complete",
    "/task/3//complete",
    "/task/3/COMPLETE",
    "/Task/3/complete",
    "/task/3/complete.json",
    "/task/3/finish",
    "/task/3",
    "/task",
    "/task/",
    "//task/approve",
    "/task/approve%00",
    "/task/Approve",
    "/dispatch",
    "/dispatch/",
    "/dispatch/next.json",
    "/dispatch/previous",
    "/dispatch/next/1",
    "/tasks/next",
    "/v1/dispatch/next",
    "/api/task/approve",
    "/index.php",
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../../manage.py",
    "/static/%2e%2e/settings.py",
    "/static/nothing.css",
    "/%FF",
    "/%C0%AE",
    "/%ED%A0%80",
    "/%F0%9F%9A%B2",
    "/suggestions/7/approve",
    "/suggestions.json",
    "/openapi.yaml",
]

LIMITS = [
    "0",
    "-1",
    "1001",
    "10000",
    "1e3",
    "1.5",
    "1.000",
    "0x10",
    "abc",
    "null",
    "%00",
    "%D9%A1",
    "%EF%BC%91",
    "+5",
    "%205",
    "5%20",
    "5%0A",
    "5;6",
    "5'",
    "[]",
    "true",
    "99999999999999999999999999",
    "9" * 3000,
    "",
]
CURSORS = [
    "abc",
    "%00",
    "0",
    "-1",
    "null",
    "cD0=",
    "cD1hYmM=",
    "cD0tMQ==",
    "cD0xLjU=",
    "cD3ZoQ==",
    "cD1OYU4=",
    "bz0xMDA=",
    "bz0tMQ==",
    "bz1hYmM=",
    "cj1hYmM=",
    "cD0xJm89YWJj",
    "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk=",
    "/////w==",
    "4pyT",
    "%E2%9C%93",
    "",
]

PLACES = {
    "GET": ["/", "/suggestions", "/healthz", "/readyz", "/docs", "/redoc", "/openapi.json"],
    "POST": [APPROVE, NEXT, COMPLETE],
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "CLAIM"]


def cases() -> Iterator[Case]:
    for value in SUGGESTION_IDS:
        yield (
            f"suggestion_id {value[:40]} of {len(value)}",
            "POST",
            APPROVE,
            JSON,
            body("suggestion_id", value),
        )
    for value in WORKER_IDS:
        yield (
            f"worker_id {value[:40]} of {len(value)}",
            "POST",
            NEXT,
            JSON,
            body("worker_id", value),
        )
    for place in (APPROVE, NEXT):
        for name, content in {**BODIES}.items():
            yield f"{place} {name}", "POST", place, JSON, content
        for content_type in CONTENT_TYPES:
            headers = {"Content-Type": content_type}
            yield f"{place} as {content_type}", "POST", place, headers, GOOD_BODY
        for name, content in FORMS.items():
            yield f"{place} {name}", "POST", place, FORM, content
        for name, (content_type, content) in MULTIPART.items():
            headers = {"Content-Type": content_type}
            yield f"{place} multipart {name}", "POST", place, headers, content
        headers = {"Content-Type": "application/json; charset=utf-7"}
        utf_7 = b"+AHsAIg-suggestion_id+ACI: 7, +ACI-worker_id+ACI: +ACI-v+ACIAfQ-"
        yield f"{place} in utf-7", "POST", place, headers, utf_7
    for path in PATHS:
        yield f"path {path}", "POST", path, JSON, GOOD_BODY
    for value in LIMITS:
        yield f"limit {value[:40]}", "GET", f"/suggestions?limit={value}", {}, b""
    for value in CURSORS:
        yield (
            f"cursor {value[:40]}",
            "GET",
            f"/suggestions?limit=5&cursor={quote(value, safe='%')}",
            {},
            b"",
        )
    for allowed, places in PLACES.items():
        for place in places:
            for method in METHODS:
                if method != allowed and (method, place) != ("POST", "/suggestions"):
                    yield f"{method} {place}", method, place, {}, b""
    for host in ("evil.example", "127.0.0.1.evil.example", "127.0.0.1:x", "[::1", "a b", ""):
        yield f"host {host!r}", "POST", APPROVE, {**JSON, "Host": host}, GOOD_BODY


def body(field: str, value: str) -> bytes:
    return f'{{"{field}": {value}}}'.encode("utf-8", "surrogatepass")


# Broken HTTP, which gunicorn refuses in its own words before Django sees it. The correct request
# would approve suggestion 7.
BROKEN_HTTP = {
    "no_http": b"hello\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "no_version": b"POST /task/approve\r\n\r\n",
    "http_9": b"POST /task/approve HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "bad_header": b"POST /task/approve HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
    "nul_in_header": b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: \x00\r\n\r\n",
    "length_of_words": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: many\r\n\r\n"
        + GOOD_BODY
    ),
    "negative_length": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n" + GOOD_BODY
    ),
    "two_lengths": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
        b"Content-Length: 38\r\n\r\n" + GOOD_BODY
    ),
    "length_and_chunks": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 38\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "unknown_encoding": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: magic\r\n\r\n"
    ),
    "line_of_5000": b"POST /" + b"9" * 5000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "header_of_10000": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"x" * 10_000 + b"\r\n\r\n"
    ),
    "200_headers": (
        b"POST /task/approve HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        + b"".join(b"X-%d: 1\r\n" % n for n in range(200))
        + b"\r\n"
    ),
}
