"""Phones that keep the protocol of the crew page, without a screen."""

import json
import random
import time
from typing import Any
from uuid import uuid4

import requests

from .bad_network import Line, NoAnswer
from .phone_books import Books

COOKIE = "crew"
ENDS_A_TASK = ("done", "give_back")


class Storage:
    """The storage of a phone that is off: texts only, so that no object outlives a restart."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, name: str, default: Any = None) -> Any:
        return json.loads(self.texts[name]) if name in self.texts else default

    def set(self, name: str, value: Any) -> None:
        self.texts[name] = json.dumps(value)


class Phone:
    """Without `storage` it holds no state, so a new Phone on the same storage is a restart."""

    def __init__(self, worker_id: str, line: Line, storage: Storage, books: Books) -> None:
        self.worker_id = worker_id
        self.line = line
        self.storage = storage
        self.books = books
        # Clocks of phones are wrong, and are set while a phone is off.
        self.clock_error = random.uniform(-1, 1) * 10 ** random.uniform(0, 7)

    # Signing in

    def join(self, code: str) -> None:
        """Repeat it until it returns. The nonce is stored first: a repetition is recognized."""
        nonce = self.storage.get("nonce") or uuid4().hex
        self.storage.set("nonce", nonce)
        answer, body = self.call("POST", "join", {"code": code, "nonce": nonce})
        assert answer.status_code == 200, body
        self.storage.set("cookie", answer.cookies[COOKIE])

    # Changes of dispatchers

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return self.storage.get("tasks", [])

    def refresh(self) -> None:
        known = ",".join(str(task["id"]) for task in self.tasks)
        self.remember(*self.call("GET", f"state?tasks={known}"))

    def renew_leases(self) -> None:
        self.remember(*self.call("POST", "here", {}))

    def remember(self, answer: requests.Response, state: dict[str, Any]) -> None:
        assert answer.status_code == 200, state
        self.storage.set("tasks", state["tasks"])
        if any(not task["by_dispatch"] for task in state["tasks"]):
            # If the answer to a claim was lost, this was it.
            self.storage.set("claim_key", None)

    def show(self, task: dict[str, Any]) -> None:
        """Tell dispatch that the crew has seen the task and its messages."""
        message_id = max((message["id"] for message in task["messages"]), default=None)
        shown = {"task_id": task["id"], "attempt": task["attempt"], "message_id": message_id}
        if (task["seen"], task["seen_message_id"]) != (True, message_id):
            self.call("POST", "seen", shown)

    # Reports

    @property
    def outbox(self) -> dict[str, dict[str, Any]]:
        return self.storage.get("outbox", {})

    def waiting(self) -> list[dict[str, Any]]:
        return [entry for entry in self.outbox.values() if entry["answer"] is None]

    def has_ended(self, task: dict[str, Any]) -> bool:
        return any(
            (entry["task_id"], entry["attempt"]) == (task["id"], task["attempt"])
            and entry["kind"] in ENDS_A_TASK
            for entry in self.outbox.values()
        )

    def report(self, kind: str, task: dict[str, Any], **values: Any) -> None:
        entry = {
            "id": str(uuid4()),
            "kind": kind,
            "task_id": task["id"],
            "attempt": task["attempt"],
            "values": values,
            "tapped": self.now(),
            "answer": None,
        }
        self.store(entry)
        self.books.saved(self.worker_id, entry, task)

    def store(self, entry: dict[str, Any]) -> None:
        self.storage.set("outbox", {**self.outbox, entry["id"]: entry})

    def send_outbox(self) -> None:
        """Send the reports in order. The first one without an answer ends the pass."""
        for entry in self.waiting():
            body = self.send(self.request_id(entry), entry)
            self.store({**entry, "answer": body})
            self.books.acknowledged(entry["id"], body)

    def request_id(self, entry: dict[str, Any]) -> str:
        return entry["id"]

    def send(self, id: str, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the server's answer, of which only the report's own id is the proof."""
        report = {"v": 1, "id": id, **{n: entry[n] for n in ("kind", "task_id", "attempt")}}
        report |= {"age": self.now() - entry["tapped"], "tapped_at": str(entry["tapped"])}
        _, body = self.call("POST", "reports", {**report, **entry["values"]})
        if body.get("id") != id:
            raise NoAnswer
        return body

    # Claims

    def claim(self) -> None:
        """Claim once, after the last report. The key is stored before the request is sent, and
        used until a claim has brought a task."""
        if self.waiting():
            return
        key = self.storage.get("claim_key")
        if key is None:
            key = uuid4().hex
            self.storage.set("claim_key", key)
            self.books.tapped(self.worker_id)
        answer, task = self.call("POST", "next", {}, **{"Idempotency-Key": self.claim_key(key)})
        if answer.status_code == 200:
            others = [each for each in self.tasks if each["id"] != task["id"]]
            self.storage.set("tasks", [*others, task])
        if answer.status_code == 200 or task["code"] == "claim_ended":
            self.storage.set("claim_key", None)

    def claim_key(self, key: str) -> str:
        return key

    # Requests

    def now(self) -> float:
        return time.time() + self.clock_error

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[requests.Response, dict[str, Any]]:
        """NoAnswer: there is none, or none of this service, or the service is busy."""
        request = requests.Request(
            method,
            f"{self.line.network.url}/crew/api/{path}",
            headers={"X-Crew": "1", **headers},
            json=body,
            cookies={COOKIE: self.storage.get("cookie", "")},
        )
        answer = self.line.ask(request)
        if answer.headers.get("Content-Type") != "application/json" or answer.status_code >= 500:
            raise NoAnswer
        assert answer.status_code != 401, "The phone is signed out."
        return answer, answer.json()


class PhoneWithNewIds(Phone):
    """Gives a repeated report a new id."""

    def request_id(self, entry: dict[str, Any]) -> str:
        return str(uuid4())


class PhoneWithoutClaimKeys(Phone):
    """Gives a repeated claim a new key."""

    def claim_key(self, key: str) -> str:
        return uuid4().hex


class ForgetfulPhone(Phone):
    """Takes a report out of the outbox before it is sent."""

    def send(self, id: str, entry: dict[str, Any]) -> dict[str, Any]:
        self.store({**entry, "answer": {}})
        return super().send(id, entry)
