"""A network that loses requests and answers, delivers some twice or late, and stops for a while."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

import requests

PATIENCE = 20
# The most seconds by which a late request, or the copy of one, arrives after the phone gave it up.
LATE = 2


class NoAnswer(Exception):
    """The phone cannot know whether the server has received its request."""


class BatteryDied(Exception):
    """The phone went off during a request. Only what it had stored is left."""


class Fate(Enum):
    ARRIVES = "arrives"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    # As from two tabs, or through a proxy that repeats requests.
    TWICE = "delivered twice"
    LATE = "delivered after the phone gave up"
    PORTAL = "answered by the sign-in page of a public network"
    DIES_BEFORE = "battery dies before the request"
    DIES_AFTER = "battery dies before the answer"


WEIGHTS = {
    Fate.ARRIVES: 45,
    Fate.ANSWER_LOST: 35,
    Fate.REQUEST_LOST: 8,
    Fate.TWICE: 5,
    Fate.LATE: 4,
    Fate.PORTAL: 1,
    Fate.DIES_BEFORE: 1,
    Fate.DIES_AFTER: 1,
}


class Network:
    """The network of all phones. `heard(request, answer)` is called for each answer of the server,
    even if no phone receives it."""

    def __init__(self, url: str, heard: Callable) -> None:
        self.url = url
        self.heard = heard
        self.healed = False
        self.stopped_until = 0.0
        self.fates: Counter[Fate] = Counter()
        self.late: list[threading.Timer] = []

    def stop(self, seconds: float) -> None:
        self.stopped_until = time.monotonic() + seconds

    def heal(self) -> None:
        """From now on each request arrives once. Returns after the last late one has arrived."""
        self.healed = True
        for timer in self.late:
            timer.join()


class Line:
    """One phone's way to the server."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self.random = random.Random(seed)
        self.stopped_until = 0.0
        self.session = requests.Session()

    def stop(self, seconds: float) -> None:
        self.stopped_until = time.monotonic() + seconds

    def is_stopped(self) -> bool:
        until = max(self.stopped_until, self.network.stopped_until)
        return not self.network.healed and time.monotonic() < until

    def ask(self, request: requests.Request) -> requests.Response:
        """Send a request. The server has done its work before an answer is lost."""
        if self.is_stopped():
            raise NoAnswer
        fate = self.next_fate()
        self.network.fates[fate] += 1
        match fate:
            case Fate.PORTAL:
                return portal()
            case Fate.REQUEST_LOST:
                raise NoAnswer
            case Fate.LATE:
                self.deliver_later(request)
                raise NoAnswer
            case Fate.DIES_BEFORE:
                raise BatteryDied
            case Fate.TWICE:
                self.deliver_later(request)
        answer = self.deliver(request, self.session)
        if fate is Fate.ANSWER_LOST:
            raise NoAnswer
        if fate is Fate.DIES_AFTER:
            raise BatteryDied
        return answer

    def next_fate(self) -> Fate:
        # Evaluated in any case, so that a seed always means the same sequence.
        [fate] = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return Fate.ARRIVES if self.network.healed else fate

    def deliver(self, request: requests.Request, session: requests.Session) -> requests.Response:
        try:
            answer = session.send(request.prepare(), timeout=PATIENCE, allow_redirects=False)
        except requests.RequestException as error:
            raise NoAnswer from error
        self.network.heard(request, answer)
        return answer

    def deliver_later(self, request: requests.Request) -> None:
        def deliver() -> None:
            with requests.Session() as session, suppress(NoAnswer):
                self.deliver(request, session)

        timer = threading.Timer(self.random.uniform(0, LATE), deliver)
        self.network.late.append(timer)
        timer.start()


def portal() -> requests.Response:
    answer = requests.Response()
    answer.status_code = 200
    answer.headers["Content-Type"] = "text/html"
    answer._content = b"<html>Welcome to our network</html>"
    return answer
