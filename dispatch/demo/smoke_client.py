"""A small HTTP client, and the main loop run once with it as its users would."""

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from .. import services
from ..services.suggestion_rows import SuggestionRow

SOURCE = "quickstart-check"
TOP_PRIORITY = 100


class SmokeFailure(Exception):
    """The service did not respond as the contract says."""


def run_the_loop(url: str) -> Iterator[str]:
    """Ingest, approve, claim, complete. Yields a line per step; leaves one completed task."""
    row = SuggestionRow(
        from_station_id=1,
        to_station_id=2,
        qty=1,
        reason="Check of the whole loop",
        # First in the queue, so that the claim below gets this task.
        priority=TOP_PRIORITY,
    )
    result = services.ingest_suggestions([row], source=SOURCE, actor="quickstart")
    yield f"ingested   {result.inserted + result.refreshed} suggestion"
    suggestions = call("GET", f"{url}/suggestions")
    suggestion = next(each for each in suggestions if each["reason"] == row.reason)
    task = call("POST", f"{url}/task/approve", {"suggestion_id": suggestion["id"]})
    yield f"approved   suggestion {suggestion['id']} -> task {task['id']}, {task['status']}"
    claimed = call("POST", f"{url}/dispatch/next", {"worker_id": "quickstart-check"})
    yield f"claimed    task {claimed['id']}, {claimed['status']} to {claimed['worker_id']}"
    if claimed["id"] != task["id"]:
        raise SmokeFailure(f"Task {task['id']} was approved, but {claimed['id']} was claimed.")
    done = call("POST", f"{url}/task/{claimed['id']}/complete")
    yield f"completed  task {done['id']}, {done['status']}"
    if done["status"] != "completed":
        raise SmokeFailure(f"Task {task['id']} is {done['status']} after its completion.")


def wait_until_ready(url: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            call("GET", f"{url}/readyz")
        except OSError as error:
            if time.monotonic() > deadline:
                raise SmokeFailure(f"{url} does not respond.") from error
            time.sleep(0.05)
        else:
            return


def call(
    method: str,
    url: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """Return the decoded response. SmokeFailure: its status is not 200; OSError: there is none."""
    response, content = respond(method, url, body, headers)
    if response.status != 200:
        raise SmokeFailure(f"{method} {urlsplit(url).path} returned {response.status}: {content}")
    return json.loads(content)


def respond(
    method: str,
    url: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[HTTPResponse, str]:
    """Return the response and its text, whatever its status. OSError: there is none."""
    address = urlsplit(url)
    connection = HTTPConnection(address.netloc, timeout=15)
    path = f"{address.path}?{address.query}"
    content_type = {} if body is None else {"Content-Type": "application/json"}
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {**content_type, **(headers or {})})
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response, content
