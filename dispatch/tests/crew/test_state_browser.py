"""Changes of dispatchers reach the crews' page in time, and stay there. A real browser."""

import threading
import time

import pytest

from dispatch import services
from dispatch.models import TaskEvent

from ..support.bad_proxy import hold, lose_answer, lose_request, once
from ..support.factories import TaskFactory
from ..support.phone_browser import network, open_phone

__all__ = ["network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

STATE = "(GET|POST) /crew/api/(state|here)"
ENDED = "phone.state.ended.map(({ code }) => code).join()"


@pytest.fixture
def task():
    TaskFactory()
    return services.claim_next_task("van-3", actor="api")


def reassign(task):
    services.reassign_task(task.pk, "van-5", actor="maria", reason="Nearer")


def test_change_by_dispatch_reaches_the_page_within_20_seconds(open_phone, network, task):
    with open_phone() as phone:
        phone.wait("phone.state.tasks.length === 1")
        reassign(task)
        started = time.monotonic()

        phone.wait(f"{ENDED} === 'reassigned'")

        assert time.monotonic() - started < 20
        assert phone.knows("phone.state.ended[0].worker_id") == "van-5"
        assert phone.knows("phone.state.ended[0].task.qty") == task.qty
        assert "van-5" in phone.words()


def test_page_in_a_pocket_does_not_ask(open_phone, network, task):
    with open_phone() as phone:
        phone.page.clock.install()
        phone.hide()
        phone.do("sendNow()")
        before = len(network.matching(STATE))

        phone.page.clock.run_for(120_000)
        assert len(network.matching(STATE)) == before

        phone.hide(False)
        network.wait_for(STATE, before + 1)


def test_end_of_a_task_is_shown_until_it_is_dismissed(open_phone, network, task):
    with open_phone() as phone:
        phone.wait("phone.state.tasks.length === 1")
        reassign(task)
        phone.do("refresh()")
        phone.open()
        phone.do("refresh()")
        assert phone.knows(ENDED) == "reassigned"

        phone.do(f"dismiss({task.pk})")

        phone.do("refresh()")
        assert phone.knows(ENDED) == ""


def test_end_of_a_task_is_shown_although_the_answer_was_lost(open_phone, network, task):
    with open_phone() as phone:
        phone.wait("phone.state.tasks.length === 1")
        reassign(task)
        network.rule(STATE, once(lose_answer))
        phone.do("refresh()")
        assert phone.knows(ENDED) == ""

        phone.do("refresh()")

        assert phone.knows(ENDED) == "reassigned"


def test_task_that_comes_back_is_no_longer_shown_as_ended(open_phone, network, task):
    with open_phone() as phone:
        phone.wait("phone.state.tasks.length === 1")
        reassign(task)
        phone.do("refresh()")
        services.reassign_task(task.pk, "van-3", actor="maria", reason="Back")

        phone.do("refresh()")

        assert phone.knows(ENDED) == ""
        assert phone.knows("phone.state.tasks.length") == 1


def test_older_answer_does_not_hide_a_claimed_task(open_phone, network):
    arrived, deliver = threading.Event(), threading.Event()

    def answer_late(exchange):
        if arrived.is_set():
            return lose_request(exchange)
        answer = exchange.forward()
        arrived.set()
        return hold(deliver, lambda _: answer)(exchange)

    with open_phone() as phone:
        TaskFactory()
        network.rule(STATE, answer_late)
        phone.start("refresh()")
        assert arrived.wait(30)
        phone.start("claimNext()")
        phone.wait("phone.state.tasks.length === 1")

        deliver.set()

        phone.wait("tab.connection === 'lost'")
        assert phone.knows("phone.state.tasks.length") == 1


def test_phone_reports_once_what_it_has_shown(open_phone, network, task):
    def seen():
        events = TaskEvent.objects.filter(kind="seen").order_by("id")
        return [event.details["message_id"] for event in events]

    with open_phone() as phone:
        phone.wait("phone.state.tasks[0]?.seen")
        message = services.message_crew(task.pk, "Use the side door.", actor="maria")
        phone.do("refresh()")
        phone.wait(f"phone.state.tasks[0].seen_message_id === {message.pk}")
        assert "Use the side door." in phone.words()

        phone.open()
        phone.do("refresh()")

    assert seen() == [None, message.pk]
    assert len(network.matching("POST /crew/api/seen")) == 2
