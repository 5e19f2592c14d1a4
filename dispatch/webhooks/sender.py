"""Sends what is due, with a few requests at a time. Only the calling thread uses the database."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from django.conf import settings

from .. import services
from ..services import Answer, Attempt
from .post import post
from .signature import signed_headers
from .states import read_states

THREADS = 16
# Seconds between two looks for due deliveries while requests are under way.
NAP = 1.0
# A round ends in time for the command to record its success, even if there is always more to send.
ROUND = 30.0
HEADERS = {"Content-Type": "application/json", "User-Agent": "baywheels-dispatch"}


@dataclass
class Sender:
    """`stopped` is called before deliveries are claimed: once it is true, none is begun."""

    stopped: Callable[[], bool] = lambda: False
    sent: int = 0
    failed: int = 0

    def run(self) -> None:
        """Notice states, then send until nothing is due."""
        services.enqueue_states(read_states)
        end = time.monotonic() + ROUND
        flying: dict[Future[Answer], Attempt] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            while self.start(pool, flying, end) or flying:
                done, _ = wait(flying, NAP, FIRST_COMPLETED)
                for future in done:
                    self.record(flying.pop(future), future.result())

    def start(
        self, pool: ThreadPoolExecutor, flying: dict[Future[Answer], Attempt], end: float
    ) -> bool:
        """Begin as many deliveries as there are free threads. Return whether there were any."""
        if self.stopped() or time.monotonic() > end or len(flying) == THREADS:
            return False
        attempts = services.claim_deliveries(THREADS - len(flying))
        flying.update((pool.submit(send, attempt), attempt) for attempt in attempts)
        return bool(attempts)

    def record(self, attempt: Attempt, answer: Answer) -> None:
        services.record_attempt(attempt, answer)
        if answer.is_success:
            self.sent += 1
        else:
            self.failed += 1


def send(attempt: Attempt) -> Answer:
    body = attempt.body.encode()
    signature = signed_headers(attempt.secrets, attempt.event_id, int(time.time()), body)
    headers = {**HEADERS, **signature}
    return post(attempt.url, body, headers, allowed=settings.WEBHOOK_ALLOW_NETWORKS)
