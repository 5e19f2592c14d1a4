"""A phone that is signed in as a crew, as the page on it sends requests."""

import secrets
from uuid import uuid4

from django.db.models.functions import Now
from django.test import Client

from dispatch.crew.cookie import cookie_name
from dispatch.models import Crew, CrewDevice
from dispatch.services.tokens import digest_of

OWN_PAGE = {"X-Crew": "1", "Sec-Fetch-Site": "same-origin"}


class Phone:
    def __init__(self, worker_id="van-1", **fields):
        self.crew, _ = Crew.objects.update_or_create(
            worker_id=worker_id, defaults={"last_seen_at": Now(), **fields}
        )
        # Joining with a code takes longer than most tests.
        secret = secrets.token_urlsafe(32)
        self.device = CrewDevice.objects.create(
            crew=self.crew, label="iPhone, Safari", digest=digest_of(secret), last_seen_at=Now()
        )
        self.client = Client()
        self.client.cookies[cookie_name()] = secret

    def get(self, path, **headers):
        return self.client.get(f"/crew/api/{path}", headers={**OWN_PAGE, **headers})

    def post(self, path, body=None, **headers):
        return self.client.post(
            f"/crew/api/{path}", body or {}, "application/json", headers={**OWN_PAGE, **headers}
        )

    def claim(self, key=None):
        return self.post("next", **{"Idempotency-Key": key or uuid4().hex})

    def state(self, *asked):
        answer = self.get(f"state?tasks={','.join(map(str, asked))}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def report(self, task, kind="done", **values):
        """`task`: a task as the service describes it to phones."""
        report = {"v": 1, "id": str(uuid4()), "kind": kind, "task_id": task["id"]}
        return self.post("reports", {**report, "attempt": task["attempt"], "age": 0, **values})
