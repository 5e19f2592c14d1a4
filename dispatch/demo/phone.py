"""The phone of a simulated crew: it calls the crew page's API as a browser would."""

import json
import uuid
from http.cookies import SimpleCookie
from typing import Any

from .smoke_client import SmokeFailure, respond

Answer = dict[str, Any]


class SignedOut(Exception):
    """The phone was revoked, or its crew is not active."""


class Phone:
    """`code`: it joins a crew with it."""

    def __init__(self, url: str, code: str) -> None:
        self.api = f"{url}/crew/api"
        self.code = code
        # Proves that a repeated request to join is from the same phone.
        self.nonce = uuid.uuid4().hex
        self.cookie = ""

    @property
    def has_joined(self) -> bool:
        return bool(self.cookie)

    def join(self) -> None:
        """SmokeFailure: the code is refused."""
        self.send("POST", "join", {"code": self.code, "nonce": self.nonce})

    def sign_out(self) -> None:
        self.send("POST", "signout", {})

    def state(self) -> Answer:
        return self.send("GET", "state")

    def claim(self, key: str) -> Answer | None:
        """None: there is no task for the crew, or it is inactive."""
        try:
            return self.send("POST", "next", {}, {"Idempotency-Key": key})
        except SmokeFailure:
            return None

    def report(self, report: Answer) -> bool:
        """False: the report is refused, usually because a dispatcher has taken the task back."""
        try:
            self.send("POST", "reports", report)
        except SmokeFailure:
            return False
        return True

    def show(self, task: Answer) -> None:
        """Report to dispatch that the crew has seen the task and its messages."""
        message_id = max((message["id"] for message in task["messages"]), default=None)
        if not task["seen"] or message_id != task["seen_message_id"]:
            shown = {"task_id": task["id"], "attempt": task["attempt"], "message_id": message_id}
            self.send("POST", "seen", shown)

    def send(
        self,
        method: str,
        path: str,
        body: Answer | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """OSError: the server is unavailable."""
        own = {"X-Crew": "1", "Cookie": self.cookie, **(headers or {})}
        response, content = respond(method, f"{self.api}/{path}", body, own)
        if response.status == 401:
            raise SignedOut
        if response.status != 200:
            raise SmokeFailure(f"{method} {path} returned {response.status}: {content}")
        for morsel in SimpleCookie(response.getheader("Set-Cookie", "")).values():
            self.cookie = f"{morsel.key}={morsel.value}"
        answer: Answer = json.loads(content)
        return answer
