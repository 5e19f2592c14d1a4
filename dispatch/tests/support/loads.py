"""Many simultaneous clients, workers that are killed meanwhile, and checks of the result."""

import os
import random
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle

import requests
from django.test import Client

from dispatch.models import Suggestion, Task, TaskEvent

from .factories import SuggestionFactory, TaskFactory, UserFactory

CLIENTS = 64


class Killer(threading.Thread):
    """Kills one worker with -9 every second, of each server in turn."""

    def __init__(self, *servers):
        super().__init__()
        self.servers = servers
        self.killed = 0
        self.enough = threading.Event()

    def run(self):
        for server in cycle(self.servers):
            if self.enough.wait(1):
                return
            for pid in server.workers()[:1]:
                os.kill(pid, signal.SIGKILL)
                self.killed += 1


@contextmanager
def workers_dying(*servers):
    killer = Killer(*servers)
    killer.start()
    try:
        yield killer
    finally:
        killer.enough.set()
        killer.join()


def claim_until_empty(url, worker_id, unanswered):
    """Return the ids that this client was given, and the number of claims without an outcome."""
    session, claimed, lost = requests.Session(), [], 0
    while True:
        try:
            answer = session.post(f"{url}/dispatch/next", json={"worker_id": worker_id}, timeout=30)
        except requests.RequestException:
            lost += 1
            continue
        if answer.status_code in unanswered:
            lost += 1
            continue
        if answer.status_code == 404:
            return claimed, lost
        assert answer.status_code == 200, answer.text
        claimed.append(answer.json()["id"])


def make_tasks(count):
    TaskFactory.insert_batch(count)


def claim_all(url, unanswered=()):
    """Let every client claim until no task is ready.

    Returns the ids that each client was given, and the number of claims without an outcome.
    `unanswered` are the statuses with which a proxy reports a dead server.
    """
    names = [f"van-{number}" for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        calls = [pool.submit(claim_until_empty, url, name, unanswered) for name in names]
        outcomes = {name: call.result() for name, call in zip(names, calls, strict=True)}
    claimed = {name: ids for name, (ids, _) in outcomes.items()}
    return claimed, sum(lost for _, lost in outcomes.values())


def assert_each_task_was_claimed_once(claimed):
    acknowledged = {id: name for name, ids in claimed.items() for id in ids}
    assert len(acknowledged) == sum(len(ids) for ids in claimed.values()), (
        "A task was handed out twice."
    )
    tasks = {task.id: task for task in Task.objects.all()}
    assert {task.status for task in tasks.values()} == {"assigned"}
    assert {task.attempt for task in tasks.values()} == {1}
    assert all(tasks[id].worker_id == name for id, name in acknowledged.items())
    claims = Counter(TaskEvent.objects.filter(kind="claimed").values_list("task_id", flat=True))
    assert set(claims.values()) == {1}
    assert claims.keys() == tasks.keys()


def approve_over_the_api(url, ids):
    session, answers = requests.Session(), Counter()
    for id in ids:
        answer = session.post(f"{url}/task/approve", json={"suggestion_id": id}, timeout=60)
        answers[answer.status_code] += 1
    return answers


def approve_in_the_console(url, ids, cookie):
    session = requests.Session()
    session.cookies["sessionid"] = cookie
    page = f"{url}/admin/dispatch/suggestion/"
    session.get(page, timeout=60)
    form = {
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
        "action": "approve_selected",
        "_selected_action": ids,
        "confirmed": "1",
    }
    answer = session.post(page, data=form, timeout=120, allow_redirects=False)
    return Counter({answer.status_code: 1})


def make_suggestions(count):
    """Return the ids of that many new suggestions."""
    SuggestionFactory.insert_batch(count)
    return list(Suggestion.objects.values_list("id", flat=True))


def approve_all_by_eight(url, ids):
    """Let four API clients and four console users approve them all. Counts the statuses."""
    browser = Client()
    browser.force_login(UserFactory())
    cookie = browser.cookies["sessionid"].value
    shuffle = random.Random(4).sample
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(approve_over_the_api, url, shuffle(ids, len(ids))) for _ in range(4)]
        calls += [pool.submit(approve_in_the_console, url, ids, cookie) for _ in range(4)]
        return sum((call.result() for call in calls), Counter())


def assert_each_became_one_task(ids, answers):
    assert Task.objects.count() == len(ids)
    assert set(Task.objects.values_list("suggestion_id", flat=True)) == set(ids)
    assert TaskEvent.objects.filter(kind="approved").count() == len(ids)
    assert not Suggestion.objects.exists()
    actors = set(TaskEvent.objects.values_list("actor", flat=True))
    assert len(actors) == 2, "Either the API or the console approved none."
    assert answers.keys() == {200, 302, 404}
    assert answers[200] + answers[404] == 4 * len(ids)
    assert answers[302] == 4


def assert_killed_processes_lose_no_task(serving):
    """`serving(workers=...)`: a context that gives a server."""
    make_tasks(1200)
    with serving(workers=3) as server, workers_dying(server) as killer:
        claimed, broken = claim_all(server.url)

    assert killer.killed >= 2, "The test ended before a process was killed."
    assert broken > 0
    assert_each_task_was_claimed_once(claimed)


def assert_eight_clients_make_one_task_of_each(serving):
    ids = make_suggestions(1000)
    with serving(workers=3) as server:
        answers = approve_all_by_eight(server.url, ids)

    assert_each_became_one_task(ids, answers)
