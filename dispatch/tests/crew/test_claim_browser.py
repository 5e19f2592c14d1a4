"""A phone on a bad network never claims a second task by mistake. A real browser."""

import json
import threading

import pytest

from dispatch import services
from dispatch.models import Task, TaskEvent

from ..support.bad_proxy import answer_with, hold, lose_answer, lose_request, once
from ..support.factories import TaskFactory
from ..support.phone_browser import kept_phone, network, open_phone

__all__ = ["kept_phone", "network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

NEXT = "POST /crew/api/next"
ANY_STATE = "(GET|POST) /crew/api/(state|here)"


@pytest.fixture
def tasks():
    """Three ready tasks, oldest first."""
    return [TaskFactory() for _ in range(3)]


def keys_of(network):
    return [each.headers["Idempotency-Key"] for each in network.matching(NEXT)]


def claimed_tasks():
    return list(TaskEvent.objects.filter(kind="claimed").values_list("task_id", flat=True))


def test_second_tap_after_a_lost_answer_repeats_the_claim(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(NEXT, once(lose_answer))
        network.rule(ANY_STATE, lose_request)

        phone.do("claimNext()")
        assert phone.knows("phone.claim.key") == keys_of(network)[0]
        phone.do("claimNext()")

        phone.wait(f"phone.state.tasks.map(({{ id }}) => id).join() === '{tasks[0].pk}'")
        assert phone.knows("phone.claim") is None
    first, second = keys_of(network)
    assert first == second
    assert claimed_tasks() == [tasks[0].pk]


def test_lost_claim_shows_up_with_the_next_state(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(NEXT, lose_answer)

        phone.do("claimNext()")
        phone.do("refresh()")

        phone.wait("phone.state.tasks.length === 1 && !phone.claim")
    assert len(keys_of(network)) == 1
    assert claimed_tasks() == [tasks[0].pk]


def test_reload_after_a_lost_answer_finds_the_claimed_task(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(NEXT, lose_answer)
        network.rule(ANY_STATE, lose_request)
        phone.do("claimNext()")
        network.clear()

        phone.open()

        phone.wait("phone.state.tasks.length === 1 && !phone.claim")
    assert len(keys_of(network)) == 1


def test_claim_of_a_killed_browser_is_repeated_with_its_key(kept_phone, network, tasks):
    asked = threading.Event()

    def kill_the_browser(exchange):
        exchange.forward()
        kept_phone.kill()
        asked.set()

    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.state.signedIn")
        network.rule(NEXT, kill_the_browser)
        phone.start("claimNext()")
        assert asked.wait(30)

    network.clear()
    # The phone cannot see what it holds: only the key can find the claimed task.
    network.rule(ANY_STATE, lose_request)
    with kept_phone() as phone:
        phone.open()
        phone.do("claimNext()")

        phone.wait("phone.state.tasks.length === 1 && !phone.claim")
    first, second = keys_of(network)
    assert first == second
    assert claimed_tasks() == [tasks[0].pk]


def test_key_is_stored_before_the_request_is_sent(open_phone, network, tasks):
    arrived, answer = threading.Event(), threading.Event()

    def wait_for_the_test(exchange):
        arrived.set()
        return hold(answer)(exchange)

    with open_phone() as phone:
        network.rule(NEXT, wait_for_the_test)
        phone.start("claimNext()")
        assert arrived.wait(30)

        other = phone.page.context.new_page()
        other.goto(network.url + "/crew/texts-en.json")
        stored = other.evaluate(STORED_CLAIM)
        answer.set()

        phone.wait("phone.state.tasks.length === 1")
    assert [stored["key"]] == keys_of(network)


STORED_CLAIM = """() => new Promise((resolve) => {
  const request = indexedDB.open("crew /crew/");
  request.onsuccess = () => {
    const values = request.result.transaction("values").objectStore("values");
    values.get("claim").onsuccess = ({ target }) => resolve(target.result);
  };
})"""


def test_old_key_is_not_repeated(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(NEXT, once(lose_request))
        phone.do("claimNext()")
        phone.page.clock.set_system_time(phone.page.evaluate("Date.now() / 1000 + 360"))

        phone.do("claimNext()")

        phone.wait("phone.state.tasks.length === 1 && !phone.claim")
    first, second = keys_of(network)
    assert first != second
    assert claimed_tasks() == [tasks[0].pk]


def test_no_task_is_asked_for_again_with_another_key(open_phone, network):
    with open_phone() as phone:
        phone.do("claimNext()")
        assert phone.knows("tab.claim") == "none"
        assert phone.knows("tab.retryAt - Date.now() > 0")
        TaskFactory()

        phone.do("claimNext()")

        phone.wait("phone.state.tasks.length === 1")
    first, second = keys_of(network)
    assert first != second


def test_two_taps_and_two_tabs_claim_one_task(open_phone, network, tasks):
    arrived, answer = threading.Event(), threading.Event()

    def wait_for_the_test(exchange):
        arrived.set()
        return hold(answer)(exchange)

    with open_phone() as phone:
        other = type(phone)(phone.context, network)
        other.open()
        other.wait("phone.state.signedIn")
        network.rule(NEXT, wait_for_the_test)

        for _ in range(2):
            phone.start("claimNext()")
        assert arrived.wait(30)
        other.start("claimNext()")
        other.wait("tab.claim === 'asking'")
        answer.set()

        phone.wait("phone.state.tasks.length === 1 && tab.claim === 'idle'")
        other.wait("phone.state.tasks.length === 1 && tab.claim === 'idle'")
    assert len(set(keys_of(network))) == 1
    assert claimed_tasks() == [tasks[0].pk]


def test_reports_are_sent_before_the_next_claim(open_phone, network, tasks):
    with open_phone() as phone:
        phone.do("claimNext()")
        held = Task.objects.get(pk=tasks[0].pk)
        network.rule("POST /crew/api/reports", lose_request)
        phone.report(held)

        phone.do("claimNext()")
        assert len(keys_of(network)) == 1
        network.clear()
        phone.do("claimNext()")

        phone.wait(f"phone.state.tasks.map(({{ id }}) => id).join() === '{tasks[1].pk}'")
    held.refresh_from_db()
    assert held.status == "completed"
    order = [str(each) for each in network.matching("POST /crew/api/(next|reports)")]
    assert order[-2:] == ["POST /crew/api/reports", "POST /crew/api/next"]


def test_claimed_task_that_was_reassigned_is_not_claimed_again(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(NEXT, once(lose_answer))
        network.rule(ANY_STATE, lose_request)
        phone.do("claimNext()")
        services.reassign_task(tasks[0].pk, "van-5", actor="maria", reason="Nearer")

        phone.do("claimNext()")

        phone.wait(f"phone.state.tasks.map(({{ id }}) => id).join() === '{tasks[1].pk}'")
    assert len(keys_of(network)) == 3


def test_answer_that_is_not_ours_claims_nothing(open_phone, network, tasks):
    page = answer_with(200, json.dumps({"id": 7}), Content_Type="application/json")
    with open_phone() as phone:
        network.rule(NEXT, once(page))
        network.rule(ANY_STATE, lose_request)
        phone.do("claimNext()")

        assert phone.knows("phone.state.tasks") == []
        assert phone.knows("tab.connection") == "lost"
        assert phone.knows("phone.claim.key") == keys_of(network)[0]
    assert claimed_tasks() == []


def test_phone_renews_the_lease_of_its_task_while_it_is_open(open_phone, network, tasks):
    with open_phone() as phone:
        phone.do("claimNext()")
        phone.do("refresh()")
        phone.do("refresh()")
    assert len(network.matching("POST /crew/api/here")) == 1
