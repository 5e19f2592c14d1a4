"""The main job once, over HTTP, as its users would do it."""

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from .. import services
from ..services.ingest import SuggestionRow

SOURCE = "quickstart-check"


class SmokeFailure(Exception):
    """A step of the loop did not answer as the contract says."""


def run_the_loop(url: str) -> Iterator[str]:
    """Ingest, approve, claim, complete. Yields a line for each step; leaves one completed task."""
    row = SuggestionRow(
        # Above everything else in the queue, so that the claim below gets this very task.
        from_station_id=1,
        to_station_id=2,
        qty=1,
        reason="Check of the whole loop",
        priority=100,
    )
    result = services.ingest_suggestions([row], source=SOURCE, actor="quickstart")
    yield f"ingested   {result.inserted + result.refreshed} suggestion"
    open_ones = call("GET", f"{url}/suggestions")
    suggestion = next(each for each in open_ones if each["reason"] == row.reason)
    task = call("POST", f"{url}/task/approve", {"suggestion_id": suggestion["id"]})
    yield f"approved   suggestion {suggestion['id']} -> task {task['id']}, {task['status']}"
    claimed = call("POST", f"{url}/dispatch/next", {"worker_id": "quickstart-check"})
    yield f"claimed    task {claimed['id']}, {claimed['status']} to {claimed['worker_id']}"
    if claimed["id"] != task["id"]:
        raise SmokeFailure(f"Task {task['id']} was approved, but {claimed['id']} was claimed.")
    done = call("POST", f"{url}/task/{claimed['id']}/complete")
    yield f"completed  task {done['id']}, {done['status']}"
    if done["status"] != "completed":
        raise SmokeFailure(f"Task {task['id']} is {done['status']} after it was completed.")


def wait_until_ready(url: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            call("GET", f"{url}/readyz")
        except OSError as error:
            if time.monotonic() > deadline:
                raise SmokeFailure(f"{url} does not answer.") from error
            time.sleep(0.05)
        else:
            return


def call(
    method: str,
    url: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    address = urlsplit(url)
    connection = HTTPConnection(address.netloc, timeout=15)
    path = f"{address.path}?{address.query}"
    kind = {"Content-Type": "application/json"} if body else {}
    text = json.dumps(body) if body else None
    connection.request(method, path, text, {**kind, **(headers or {})})
    answer = connection.getresponse()
    told = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise SmokeFailure(f"{method} {address.path} answered {answer.status}: {told}")
    return json.loads(told)
