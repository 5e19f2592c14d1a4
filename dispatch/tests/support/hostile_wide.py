"""Ten thousand more bad requests: every endpoint, every field, every byte of a good body.

Each is one step away from a request that would be accepted. A case is as in hostile_corpus.
"""

import json
from collections.abc import Iterator

from .hostile_corpus import (
    BODIES,
    CONTENT_TYPES,
    CURSORS,
    ID,
    JSON,
    LIMITS,
    SUGGESTION_IDS,
    TASK,
    WORKER_IDS,
    Case,
)

HOLDER = "van-1"
GOOD = {
    "/task/approve": {"suggestion_id": ID},
    "/dispatch/next": {"worker_id": "v"},
    f"/task/{TASK}/complete": {"worker_id": HOLDER, "moved_qty": 3, "note": "Two docks broken"},
    f"/task/{TASK}/extend": {"worker_id": HOLDER},
    f"/task/{TASK}/release": {"worker_id": HOLDER, "reason": "Flat tyre"},
    f"/task/{TASK}/reassign": {"worker_id": "van-2", "reason": "Closer"},
    f"/task/{TASK}/cancel": {"reason": "Road works"},
    f"/task/{TASK}/priority": {"priority": 5},
    f"/suggestions/{ID}/reject": {"reason": "Road works"},
    f"/suggestions/{ID}/priority": {"priority": 5},
    "/suggestions": {"from_station_id": 1, "to_station_id": 2, "qty": 3, "reason": "Full"},
}
# An empty body or object is valid here.
OPTIONAL_BODY = {f"/task/{TASK}/complete", f"/task/{TASK}/extend"}

NO_INTEGERS = [
    value
    for value in SUGGESTION_IDS
    if value not in ("null", "0", "-0.0", "-1", "-7", '"-7"') and not value.strip('"').isdigit()
]
NO_TEXTS = ["1", "1.5", "true", "[]", "{}", '["x"]', '"\\u0000"', '"a\\u0000b"', '"\\ud800"',
            '"a\\udfffb"', "NaN", "1e400", f'"{"x" * 2001}"', f'"{"🚲" * 2001}"']  # fmt: skip
BLANK = ['""', '" "', '"\\n"', "null"]
NO_TIMES = ["1", "0", "true", '""', '"now"', '"2026"', '"2026-05-04"', '"2026-05-04T08:00"',
            '"2026-05-04T08:00:00"', '"2026-02-30T00:00:00Z"', '"2026-05-04T25:00:00Z"',
            '"2026-05-04T08:00:00+25:00"', '"20260504T080000Z"', '"infinity"', '"-infinity"',
            '"10000-01-01T00:00:00Z"', '"0000-01-01T00:00:00Z"', '"2026-W18-1T00:00:00Z"',
            '"٢٠٢٦-05-04T08:00:00Z"', "[]", "{}", "1e18"]  # fmt: skip
# By a wrong clock or without a zone: a report's time is corrected or ignored, never refused.
ODD_CLOCKS = ['"2026-05-04"', '"2026-05-04T08:00"', '"2026-05-04T08:00:00"', '"20260504T080000Z"',
              '"2026-W18-1T00:00:00Z"', '"2999-01-01T00:00:00Z"', '"2001-01-01T00:00:00Z"',
              '"9999-12-31T23:59:59-14:00"', '"0001-01-01T00:00:00+14:00"',
              '"0001-01-01t00:00:00z"', '"2015-05-04T08:00:00.123456789Z"']  # fmt: skip
FIELDS = {
    "suggestion_id": [*NO_INTEGERS, "null", "0", "-1"],
    "worker_id": [value for value in WORKER_IDS if value not in ("null", '"van"')],
    "moved_qty": [*NO_INTEGERS, "-1", "2147483648"],
    "note": NO_TEXTS,
    "completed_at": [value for value in NO_TIMES if value not in ODD_CLOCKS],
    "reason": [*NO_TEXTS, *BLANK],
    "priority": [*NO_INTEGERS, "null", "101", "-101", "32768"],
    "from_station_id": [*NO_INTEGERS, "null", "-1", "2", "2147483648"],
    "to_station_id": [*NO_INTEGERS, "null", "-1", "1", "2147483648"],
    "qty": [*NO_INTEGERS, "null", "0", "-1", "2147483648"],
    "expires_at": [*NO_TIMES, '"9500-01-01T00:00:00Z"', '"1999-01-01T00:00:00Z"'],
    "source": ["1", "true", "[]", "{}", '"\\u0000"', '"a\\nb"', '"\\ud800"', f'"{"x" * 101}"'],
}
BESIDE = {
    f"/task/{TASK}/complete": ["completed_at"],
    "/suggestions": ["priority", "expires_at", "source"],
}
ABSENT = {f"/task/{TASK}/complete": ["null"], "/suggestions": ["null", '""']}
# JSON allows these between two tokens.
CONTROLS = [bytes([code]) for code in range(0x20) if code not in b"\t\n\r"][:20]
NO_UTF_8 = [b"\x80", b"\xfe", b"\xff", b"\xf5", b"\xc0\xaf", b"\xed\xa0\x80"]
BROKEN_BYTES = [*CONTROLS, *NO_UTF_8]
BEHIND = [b"{}", b"[]", b"1", b"x", b'"', b",", b"]", b"}", b"//", b"/**/", b"#", b";", b"\xfe"]
FILTERS = {
    "/tasks": {
        "status": ["", "lost", "Ready", "ready%20", "%00", "1", "null", "ready,assigned"],
        "worker_id": ["", "%00", "a%0Ab", "x" * 201, "%20"],
        "station_id": ["", "x", "-1", "1.5", "1e1", "%D9%A1", "2147483648", "9" * 400, "%00"],
        "created_before": ["", "x", "2026", "2026-05-04", "2026-05-04T08:00:00", "infinity", "%00",
                           "20000-01-01T00:00:00Z", "2026-13-01T00:00:00Z"],
        "created_after": ["", "x", "now()", "2026-05-04T08:00:00%2B99:00", "%D9%A1", "1"],
        "overdue": ["", "yes", "1", "True", "false", "%00"],
    },
    "/events": {
        "kind": ["", "lost", "Claimed", "%00", "claimed%00"],
        "source": ["", "%00", "%20", "x" * 101],
        "suggestion_id": ["", "0", "-1", "x", "1.5", "9223372036854775808", "9" * 400, "%D9%A1"],
    },
}  # fmt: skip
PATH_IDS = ["0", "99", "-3", "3.0", "+3", "9223372036854775807", "9223372036854775808", "9" * 32,
            "three", "0x3", "3e0", "%D9%A3", "%EF%BC%93", "3%00", "%00", "3%0A", "3%20", "%203",
            "3;", "3'", "null", "", "3/", "..", "%2e%2e", "3%2f", "*", "{task_id}"]  # fmt: skip
METHODS = ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "CLAIM", "CONNECT"]


def wide_cases() -> Iterator[Case]:
    yield from wrong_fields()
    yield from broken_bodies()
    yield from wrong_queries()
    yield from wrong_paths()


def post(name: str, path: str, body: bytes, headers: dict[str, str] = JSON) -> Case:
    return name, "POST", path, headers, body


def with_value(good: dict, field: str, value: str) -> bytes:
    others = "".join(f'"{k}": {json.dumps(v)}, ' for k, v in good.items() if k != field)
    return f'{{{others}"{field}": {value}}}'.encode("utf-8", "surrogatepass")


def wrong_fields() -> Iterator[Case]:
    for path, good in GOOD.items():
        for field in (*good, *BESIDE.get(path, [])):
            for value in FIELDS[field]:
                if value in ABSENT.get(path, []) and field in BESIDE[path]:
                    continue  # the same as an absent field
                title = f"{path} {field} {value[:40]} of {len(value)}"
                yield post(title, path, with_value(good, field, value))
            if field in good:
                twice = with_value(good, field, f'{json.dumps(good[field])}, "{field}": 1')
                yield post(f"{path} {field} twice", path, twice)
                if path not in OPTIONAL_BODY and field != "note" and len(good) > 1:
                    missing = {name: value for name, value in good.items() if name != field}
                    if (path.split("/")[-1], field) != ("release", "worker_id"):
                        body = json.dumps(missing).encode()
                        yield post(f"{path} without {field}", path, body)


def broken_bodies() -> Iterator[Case]:
    for path, good in GOOD.items():
        body = json.dumps(good).encode()
        for place in range(len(body)):
            # Shorter ones are among the bodies.
            if place > 1:
                yield post(f"{path} cut at {place}", path, body[:place])
            for number, extra in enumerate(BROKEN_BYTES):
                broken = body[:place] + extra + body[place:]
                yield post(f"{path} with broken byte {number} at {place}", path, broken)
        for number, extra in enumerate(BEHIND):
            yield post(f"{path} with {number} behind", path, body + extra)
        for content_type in CONTENT_TYPES:
            headers = {"Content-Type": content_type}
            yield post(f"{path} as {content_type}", path, body, headers)
        for name, content in BODIES.items():
            fine = path in OPTIONAL_BODY and name in ("empty", "no_fields", "other_fields",
                "fields_of_another_case", "fields_one_level_down", "null")  # fmt: skip
            if not fine:
                yield post(f"{path} {name}", path, content)


def wrong_queries() -> Iterator[Case]:
    for path, filters in FILTERS.items():
        for name, values in filters.items():
            for value in values:
                yield f"{path} {name}={value[:40]}", "GET", f"{path}?{name}={value}", {}, b""
            yield f"{path} {name} twice", "GET", f"{path}?{name}=1&{name}=2", {}, b""
    for path in ("/tasks", "/events", f"/task/{TASK}/events"):
        for value in LIMITS:
            yield f"{path} limit {value[:40]}", "GET", f"{path}?limit={value}", {}, b""
        for value in CURSORS:
            yield f"{path} cursor {value[:40]}", "GET", f"{path}?cursor={value}", {}, b""


def wrong_paths() -> Iterator[Case]:
    for path, good in GOOD.items():
        _, kind, *rest = path.split("/")
        for number, wrong in enumerate(PATH_IDS) if len(rest) == 2 else ():
            yield post(
                f"{path} of {number}", f"/{kind}/{wrong}/{rest[1]}", json.dumps(good).encode()
            )
        for ending in ("//", ".json", "%00", "/x", ";x"):
            yield post(f"{path}{ending}", path + ending, json.dumps(good).encode())
        for method in METHODS:
            yield f"{method} {path}", method, path, JSON, json.dumps(good).encode()
