"""Reports survive bad networks and killed browsers, and are sent once each in order."""

import json
import threading
from urllib.parse import urlsplit

import pytest

from dispatch import services
from dispatch.models import TaskEvent

from ..support.bad_proxy import (
    answer_with,
    delay,
    login_page,
    lose_answer,
    lose_request,
    once,
    redirect_to_login,
    unavailable,
)
from ..support.factories import TaskFactory
from ..support.phone_browser import (
    PHONE,
    REPORTS,
    Phone,
    completed_tasks,
    held_tasks,
    kept_phone,
    network,
    open_phone,
    sent,
    sign_in,
)
from ..support.server import serve

__all__ = ["held_tasks", "kept_phone", "network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

SENDER = "/static/dispatch/crew/sender.js"
SERVER_ERROR = answer_with(
    500,
    json.dumps({"detail": "The request failed.", "code": "error"}),
    Content_Type="application/json",
    X_Request_ID="proxy",
)


def is_about(task):
    """A rule's behaviour may depend on the report."""
    return lambda exchange: json.loads(exchange.body)["task_id"] == task.pk


def for_reports_about(task, behaviour):
    matches = is_about(task)
    return lambda exchange: behaviour(exchange) if matches(exchange) else exchange.forward()


# The network


NOT_OUR_ANSWER = {
    "page of a hotel": login_page,
    "redirect to a login page": redirect_to_login,
    "connection cut before the server": lose_request,
    "connection cut after the server": lose_answer,
    "JSON of somebody else": answer_with(200, '{"ok": true}', Content_Type="application/json"),
    "our JSON about another report": answer_with(
        200,
        '{"id": "00000000-0000-4000-8000-000000000000", "code": "done"}',
        Content_Type="application/json",
        X_Request_ID="proxy",
    ),
    "error of the server": SERVER_ERROR,
    "service unavailable": unavailable(1),
    "error page of a proxy": answer_with(502, "<h1>Bad gateway</h1>", Content_Type="text/html"),
}


@pytest.mark.parametrize("behaviour", NOT_OUR_ANSWER.values(), ids=NOT_OUR_ANSWER)
def test_report_waits_until_the_server_has_certainly_answered(
    open_phone, network, held_tasks, behaviour
):
    with open_phone() as phone:
        network.rule(REPORTS, behaviour)
        phone.report(held_tasks[0])
        phone.send()
        assert phone.reports("state") == ["waiting"]
        assert len(sent(network)) == 1

        network.clear()
        phone.send()

        assert phone.reports("state") == ["settled"]
    assert completed_tasks() == [held_tasks[0].pk]
    assert len({report["id"] for report in sent(network)}) == 1


def test_page_opens_and_takes_reports_while_the_server_is_stopped(
    chromium, transactional_db, held_tasks
):
    with chromium.new_context(**PHONE) as context:
        with serve() as server:
            sign_in(context, server, "van-3")
            phone = Phone(context, server)
            phone.open()
            phone.wait("phone.state.tasks.length === 3 && tab.canWorkOffline")

        phone.open()
        phone.report(held_tasks[0])
        phone.send()
        assert phone.reports("state") == ["waiting"]
        assert "No connection" in phone.words()

        with serve(port=urlsplit(server.url).port):
            phone.send()
            phone.wait("phone.reports[0].state === 'settled'")
    assert completed_tasks() == [held_tasks[0].pk]


def test_two_offline_reports_are_sent_once_each_in_order(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(held_tasks[1])
        phone.report(held_tasks[0])
        phone.send()
        assert phone.reports("task_id", "state") == [
            (held_tasks[1].pk, "waiting"),
            (held_tasks[0].pk, "waiting"),
        ]

        network.connect()
        phone.send()

        assert phone.reports("state") == ["settled", "settled"]
    assert [report["task_id"] for report in sent(network)] == [held_tasks[1].pk, held_tasks[0].pk]
    assert completed_tasks() == [held_tasks[1].pk, held_tasks[0].pk]


def test_reports_survive_a_killed_browser(kept_phone, network, held_tasks):
    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.state.tasks.length === 3 && tab.canWorkOffline")
        network.disconnect()
        phone.report(held_tasks[0])
        phone.report(held_tasks[1])
        kept_phone.kill()

    with kept_phone() as phone:
        # Still without a network: the page itself comes from the phone.
        phone.open()
        assert phone.reports("task_id", "state") == [
            (held_tasks[0].pk, "waiting"),
            (held_tasks[1].pk, "waiting"),
        ]
        network.connect()
        phone.send()
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")

    assert [report["task_id"] for report in sent(network)] == [held_tasks[0].pk, held_tasks[1].pk]
    assert completed_tasks() == [held_tasks[0].pk, held_tasks[1].pk]


def test_report_whose_answer_was_lost_by_a_kill_is_applied_once(kept_phone, network, held_tasks):
    answered = threading.Event()

    def kill_the_browser(exchange):
        exchange.forward()
        kept_phone.kill()
        answered.set()

    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        network.rule(REPORTS, kill_the_browser)
        phone.report(held_tasks[0], moved_qty=3)
        phone.start("sendNow()")
        assert answered.wait(30)

    network.clear()
    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")

    first, second = sent(network)
    assert first["id"] == second["id"]
    assert completed_tasks() == [held_tasks[0].pk]


def test_server_that_asks_to_wait_is_left_alone(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, once(unavailable(8)))
        phone.report(held_tasks[0])
        phone.send()
        phone.page.evaluate(f"import('{SENDER}').then(({{ send }}) => send())")
        assert len(sent(network)) == 1

        phone.wait("phone.reports[0].state === 'settled'")
    assert len(sent(network)) == 2


def test_becoming_visible_ends_the_wait_after_a_failure(open_phone, network, held_tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        network.disconnect()
        phone.report(held_tasks[0])
        phone.send()
        network.connect()

        phone.hide()
        phone.hide(False)

        network.wait_for(REPORTS)


def test_page_retries_by_itself_after_a_failure(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, once(lose_request))
        phone.report(held_tasks[0])
        phone.send()

        phone.wait("phone.reports[0].state === 'settled'")


# Order


def test_report_blocks_later_ones_about_its_task_only(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, for_reports_about(held_tasks[0], SERVER_ERROR))
        phone.report(held_tasks[0], "problem", problems=["station_full"], note="")
        phone.report(held_tasks[0])
        phone.report(held_tasks[1])
        phone.send()
        assert phone.reports("state") == ["waiting", "waiting", "settled"]
        assert [report["kind"] for report in sent(network)] == ["problem", "done"]

        network.clear()
        phone.send()

        assert phone.reports("state") == ["settled"] * 3
    kinds = TaskEvent.objects.filter(task_id=held_tasks[0].pk).order_by("id")
    assert list(kinds.values_list("kind", flat=True))[-2:] == ["problem", "completed"]


def test_refused_report_blocks_no_other(open_phone, network, held_tasks):
    with open_phone() as phone:
        unknown = TaskFactory.build(id=held_tasks[0].pk + 1000, attempt=1)
        phone.report(unknown)
        phone.report(held_tasks[0], moved_qty="many")
        phone.report(held_tasks[0], "problem", problems=["blocked"], note="")
        phone.send()

        assert phone.reports("state") == ["refused", "refused", "settled"]
        assert phone.knows("phone.reports[0].answer.code") == "unknown_task"
        for report_id in phone.reports("id")[:2]:
            phone.do(f"dismiss('{report_id}')")
        assert phone.reports("state") == ["settled"]


@pytest.mark.parametrize("is_lost", [False, True])
def test_refused_report_can_be_sent_as_a_note(open_phone, network, held_tasks, is_lost):
    task = held_tasks[0]
    with open_phone() as phone:
        phone.report(task, moved_qty="many", note="Three\u0007 locks " + 500 * "x")
        phone.send()
        assert phone.reports("state") == ["refused"]
        if is_lost:
            services.reassign_task(task.pk, "van-5", actor="maria", reason="Nearer")

        phone.do(f"sendAsNote('{phone.reports('id')[0]}')")
        phone.do("sendNow()")

        assert phone.reports("kind", "state") == [("problem", "settled")]
    [event] = TaskEvent.objects.filter(kind="problem", task_id=task.pk)
    assert "moved_qty: many; note: Three  locks xxx" in event.details["note"]
    assert event.worker_id == "van-3"


def test_first_network_error_ends_the_try(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        for task in held_tasks:
            phone.report(task)
        phone.send()

        assert phone.reports("tries") == [1, 0, 0]


def test_several_tabs_do_not_send_twice(open_phone, network, held_tasks):
    network.rule(REPORTS, delay(0.5))
    with open_phone() as phone:
        other = type(phone)(phone.context, network)
        other.open()
        other.wait("phone.state.tasks.length === 3")
        for task in held_tasks:
            phone.report(task)

        phone.start("sendNow()")
        other.start("sendNow()")

        for each in (phone, other):
            each.wait("phone.reports.every(({ state }) => state === 'settled')")
    assert [report["task_id"] for report in sent(network)] == [task.pk for task in held_tasks]


def test_lock_of_a_dead_tab_is_ignored_after_a_minute(open_phone, network, held_tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        phone.page.evaluate(
            "void navigator.locks.request('crew sender /crew/', () => new Promise(() => {}))"
        )
        phone.report(held_tasks[0])
        phone.send()
        assert sent(network) == []

        phone.page.clock.run_for(62_000)

        network.wait_for(REPORTS)
