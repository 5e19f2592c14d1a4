"""Many clients and dying processes, on real gunicorn."""

import os
import random
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.test import Client

from conftest import serve
from dispatch.models import Suggestion, Task, TaskEvent

from .factories import SuggestionFactory, TaskFactory, UserFactory

pytestmark = [
    pytest.mark.experiment,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

TASKS = 1200
CLIENTS = 64


class Killer(threading.Thread):
    """Kills one of the server's processes with -9 every second."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.killed = 0
        self.enough = threading.Event()

    def run(self):
        while not self.enough.wait(1):
            for pid in self.server.workers()[:1]:
                os.kill(pid, signal.SIGKILL)
                self.killed += 1


def claim_until_empty(url, worker_id):
    """The ids that were acknowledged to this client, and how often its connection broke."""
    session, claimed, broken = requests.Session(), [], 0
    while True:
        try:
            answer = session.post(f"{url}/dispatch/next", json={"worker_id": worker_id}, timeout=30)
        except requests.RequestException:
            broken += 1
            continue
        if answer.status_code == 404:
            return claimed, broken
        assert answer.status_code == 200, answer.text
        claimed.append(answer.json()["id"])


def test_no_task_is_handed_out_twice_or_lost_while_processes_are_killed():
    Task.objects.bulk_create(TaskFactory.build_batch(TASKS))

    with serve(workers=3) as server, ThreadPoolExecutor(CLIENTS) as pool:
        killer = Killer(server)
        killer.start()
        names = [f"van-{number}" for number in range(CLIENTS)]
        calls = [pool.submit(claim_until_empty, server.url, name) for name in names]
        try:
            outcomes = {name: call.result() for name, call in zip(names, calls, strict=True)}
        finally:
            killer.enough.set()
            killer.join()

    assert killer.killed >= 2, "The experiment was over before anything was killed."
    assert sum(broken for _, broken in outcomes.values()) > 0
    acknowledged = {id: name for name, (ids, _) in outcomes.items() for id in ids}
    assert len(acknowledged) == sum(len(ids) for ids, _ in outcomes.values()), "Given out twice."
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
    }
    answer = session.post(page, data=form, timeout=120, allow_redirects=False)
    return Counter({answer.status_code: 1})


def test_a_thousand_suggestions_approved_by_eight_clients_each_make_a_thousand_tasks():
    Suggestion.objects.bulk_create(SuggestionFactory.build_batch(1000))
    ids = list(Suggestion.objects.values_list("id", flat=True))
    browser = Client()
    browser.force_login(UserFactory())
    cookie = browser.cookies["sessionid"].value
    shuffle = random.Random(4).sample

    with serve(workers=3) as server, ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(approve_over_the_api, server.url, shuffle(ids, len(ids))) for _ in range(4)
        ]
        calls += [pool.submit(approve_in_the_console, server.url, ids, cookie) for _ in range(4)]
        answers = sum((call.result() for call in calls), Counter())

    assert Task.objects.count() == 1000
    assert set(Task.objects.values_list("suggestion_id", flat=True)) == set(ids)
    assert TaskEvent.objects.filter(kind="approved").count() == 1000
    assert not Suggestion.objects.exists()
    actors = set(TaskEvent.objects.values_list("actor", flat=True))
    assert len(actors) == 2, "Both doors took part."
    assert answers.keys() == {200, 302, 404}
    assert answers[200] + answers[404] == 4000
    assert answers[302] == 4
