"""A city at work while something is done to the service, and the books of its answers."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from uuid import uuid4

import psycopg
import requests

from .machines import wait_until

VANS_WITH_KEYS, VANS_WITHOUT_KEYS, DISPATCHERS = 3, 3, 2
KEYLESS = "keyless-"
BATCH = 20
# No answer, or one from nginx: the request may have been executed.
IN_DOUBT = {"none", 502, 504}
INSERT = """
    INSERT INTO suggestions (from_station_id, to_station_id, qty, reason, source)
    SELECT n, n + 1, 5, 'Full', 'demand' FROM generate_series(1, %s) AS n RETURNING id
"""


class Traffic:
    """The acknowledged claims, completions, approvals and suggestions; every answer's status."""

    def __init__(self, url, database, account):
        self.url, self.database, self.account = url, database, account
        self.claims, self.completions, self.approvals = [], [], []
        self.suggested, self.decided_in_console = set(), set()
        self.statuses, self.lost_claims = Counter(), Counter()
        self.served_at, self.slowest, self.rolled_back = [], 0, 0
        self.enough, self.calls = threading.Event(), []

    def post(self, session, path, sent, key=None, **options):
        """Return the answer, or None if the connection broke."""
        started, headers = time.monotonic(), {"Idempotency-Key": key} if key else {}
        try:
            answer = session.post(
                f"{self.url}{path}", **sent, headers=headers, timeout=60, **options
            )
        except requests.RequestException:
            self.statuses[path_of(path), "none"] += 1
            return None
        ended = time.monotonic()
        self.statuses[path_of(path), answer.status_code] += 1
        self.slowest = max(self.slowest, ended - started)
        if answer.status_code < 500:
            self.served_at.append(ended)
        return answer

    def repeat(self, *arguments, **options):
        """Send the request until it is answered: all but a claim without a key may be repeated."""
        while (answer := self.post(*arguments, **options)) is None or answer.status_code >= 500:
            time.sleep(0.05)
        return answer

    def drive(self, van, keys):
        session = requests.Session()
        while not self.enough.is_set():
            claim = session, "/dispatch/next", {"json": {"worker_id": van}}
            answer = self.repeat(*claim, key=uuid4().hex) if keys else self.post(*claim)
            status = answer.status_code if answer is not None else "none"
            self.lost_claims[van] += status in IN_DOUBT
            if status == 200:
                task_id = answer.json()["id"]
                self.claims.append((task_id, van))
                done = self.repeat(session, f"/task/{task_id}/complete", {})
                assert done.status_code == 200, done.text
                self.completions.append((task_id, van))
            else:
                assert status in {404, 503, *IN_DOUBT}
                self.enough.wait(0.05)

    def open_suggestions(self, session):
        """Return the ids of some, in any order; none if the list is not served now."""
        try:
            answer = session.get(f"{self.url}/suggestions?limit=100", timeout=60)
        except requests.RequestException:
            return []
        ids = [each["id"] for each in answer.json()] if answer.ok else []
        return random.sample(ids, min(len(ids), BATCH))

    def approve(self):
        session = requests.Session()
        while not self.enough.wait(0.1):
            for id in self.open_suggestions(session):
                answer = self.repeat(session, "/task/approve", {"json": {"suggestion_id": id}})
                assert answer.status_code in {200, 404}, answer.text
                if answer.status_code == 200:
                    self.approvals.append((id, answer.json()["id"]))

    def approve_in_the_console(self):
        session = requests.Session()
        name, password = self.account
        session.get(f"{self.url}/admin/login/", timeout=60)
        form = {"username": name, "password": password, "next": "/admin/"}
        signed_in = self.send_form(session, "/admin/login/", form)
        assert signed_in.status_code == 302, "The dispatcher could not sign in."
        while not self.enough.wait(0.5):
            if ids := self.open_suggestions(session):
                form = {"action": "approve_selected", "_selected_action": ids, "confirmed": "1"}
                answer = self.send_form(session, "/admin/dispatch/suggestion/", form)
                assert answer.status_code == 302, answer.text
                self.decided_in_console.update(ids)

    def send_form(self, session, path, form):
        token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
        return self.repeat(session, path, {"data": {**form, **token}}, allow_redirects=False)

    def suggest(self):
        with psycopg.connect(self.database, autocommit=True) as job:
            while not self.enough.wait(0.2):
                # A migration that locks two tables may meet an insert that reads the second.
                try:
                    self.suggested.update(id for (id,) in job.execute(INSERT, [BATCH]))
                except psycopg.errors.DeadlockDetected:
                    self.rolled_back += 1

    def clients(self):
        """Return a function for each client."""
        vans = [(f"van-{n}", True) for n in range(VANS_WITH_KEYS)]
        vans += [(f"{KEYLESS}{n}", False) for n in range(VANS_WITHOUT_KEYS)]
        return [
            *(lambda van=van, keys=keys: self.drive(van, keys) for van, keys in vans),
            *[self.approve] * DISPATCHERS,
            self.approve_in_the_console,
            self.suggest,
        ]

    def goes_on(self):
        """Wait until vans and dispatchers have done a good deal more."""
        claims, decisions = len(self.claims) + 60, self.decisions() + 60
        wait_until(
            lambda: self.failed() or (len(self.claims) > claims and self.decisions() > decisions),
            f"The work has stopped: {self.statuses}",
        )
        for call in self.failed():
            call.result()

    def decisions(self):
        return len(self.approvals) + len(self.decided_in_console)

    def failed(self):
        return [call for call in self.calls if call.done()]

    def longest_gap(self):
        """Return the seconds in which no client was served."""
        return max(later - earlier for earlier, later in pairwise(sorted(self.served_at)))

    def answers_in_doubt(self):
        return sum(number for (_, status), number in self.statuses.items() if status in IN_DOUBT)

    def check(self):
        """Compare the books with the database: no acknowledged change is lost, or made twice."""
        assert 500 not in {status for _, status in self.statuses}
        with psycopg.connect(self.database) as connection:
            rows = connection.execute(
                "SELECT id, suggestion_id, status, worker_id, attempt FROM tasks"
            ).fetchall()
            undecided = {id for (id,) in connection.execute("SELECT id FROM suggestions")}
        workers = {id: worker for id, _, _, worker, attempt in rows if attempt}
        tasks = {suggestion: id for id, suggestion, *_ in rows}
        assert {row[4] for row in rows} <= {0, 1}
        assert len(dict(self.claims)) == len(self.claims)
        assert {pair for pair in self.claims if workers.get(pair[0]) != pair[1]} == set()
        completed = {(id, worker) for id, _, status, worker, _ in rows if status == "completed"}
        assert completed == set(self.completions)
        assert [pair for pair in self.approvals if tasks.get(pair[0]) != pair[1]] == []
        assert self.decided_in_console <= tasks.keys()
        assert self.suggested == tasks.keys() | undecided
        assert tasks.keys() & undecided == set()
        self.check_orphans(workers)

    def check_orphans(self, workers):
        """A claim without an answer leaves a task that its van does not know; never with a key."""
        known = dict(self.claims)
        orphans = Counter(worker for id, worker in workers.items() if id not in known)
        assert orphans <= +self.lost_claims
        assert all(van.startswith(KEYLESS) for van in orphans)


def path_of(path):
    return "/task/{id}/complete" if path.endswith("/complete") else path


@contextmanager
def traffic(url, database, account):
    """Keep all clients busy until the block ends, and until their last request is answered."""
    books = Traffic(url, database, account)
    clients = books.clients()
    with ThreadPoolExecutor(len(clients)) as pool:
        books.calls = [pool.submit(client) for client in clients]
        try:
            yield books
        finally:
            books.enough.set()
    for call in books.calls:
        call.result()
