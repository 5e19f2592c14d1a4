"""The previous version's code on the present schema: during a deploy, and after going back."""

import subprocess
import sys

import pytest
import requests
from django.test import Client

from dispatch.maintenance.invariants import violations
from dispatch.models import Suggestion, Task

from ..support.factories import UserFactory
from ..support.loads import approve_in_the_console
from ..support.server import serve, server_environment
from ..support.versions import previous_version

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

MOVE = {"from_station_id": 100, "to_station_id": 200, "qty": 5, "reason": "Full"}
LISTS = ("/suggestions", "/tasks", "/stations", "/events")
PAGES = (
    "/admin/",
    "/admin/dispatch/suggestion/",
    "/admin/dispatch/task/",
    "/admin/dispatch/station/",
)


def post(url, path, body=None, **headers):
    answer = requests.post(f"{url}{path}", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
    return answer.json()


def suggest(url):
    post(url, "/suggestions", MOVE)
    return Suggestion.objects.latest("id").id


def claim(url, key):
    return post(url, "/dispatch/next", {"worker_id": "van-1"}, **{"Idempotency-Key": key})["id"]


def carry_out(url):
    """From a suggestion to a completed task, each step that may be repeated twice."""
    approved = post(url, "/task/approve", {"suggestion_id": suggest(url)})
    assert claim(url, "k-1") == claim(url, "k-1") == approved["id"]
    assert post(url, f"/task/{approved['id']}/complete") == post(
        url, f"/task/{approved['id']}/complete"
    )


def change_minds(url):
    """Reject a suggestion, and release and cancel a task."""
    post(url, f"/suggestions/{suggest(url)}/reject", {"reason": "Road works"})
    post(url, "/task/approve", {"suggestion_id": suggest(url)})
    task_id = claim(url, "k-2")
    post(url, f"/task/{task_id}/release", {"reason": "Flat tyre"})
    post(url, f"/task/{task_id}/cancel", {"reason": "Road works"})


def look_at_pages(url, cookie):
    for page in PAGES:
        answer = requests.get(f"{url}{page}", cookies={"sessionid": cookie}, timeout=60)
        assert answer.status_code == 200, page
    for path in LISTS:
        assert requests.get(f"{url}{path}", timeout=60).status_code == 200, path


def test_previous_version_works_on_the_present_schema(tmp_path):
    former = previous_version(tmp_path)
    browser = Client()
    browser.force_login(UserFactory())
    cookie = browser.cookies["sessionid"].value
    with serve(folder=former) as server:
        carry_out(server.url)
        change_minds(server.url)
        answers = approve_in_the_console(server.url, [suggest(server.url)], cookie)
        look_at_pages(server.url, cookie)
    sweep = subprocess.run(
        [sys.executable, "manage.py", "sweep"],
        cwd=former,
        env=server_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert list(answers) == [302]
    assert sorted(Task.objects.values_list("status", flat=True)) == [
        "cancelled",
        "completed",
        "ready",
    ]
    assert (sweep.returncode, sweep.stderr) == (0, "")
    assert violations() == {}
