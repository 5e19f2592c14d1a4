"""Reports survive bad networks, killed browsers and changes of the crew. A real browser."""

import json
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from dispatch import services
from dispatch.models import CrewDevice, CrewReport, Task, TaskEvent

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
    Phone,
    enrol,
    kept_phone,
    network,
    open_phone,
    sign_in,
)
from ..support.server import serve

__all__ = ["kept_phone", "network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

REPORTS = "POST /crew/api/reports"
SERVER_ERROR = answer_with(
    500,
    json.dumps({"detail": "The request failed.", "code": "error"}),
    Content_Type="application/json",
    X_Request_ID="proxy",
)


@pytest.fixture
def tasks():
    """Three tasks that van-3 holds, oldest first."""
    for _ in range(3):
        TaskFactory()
    return [services.claim_next_task("van-3", actor="api") for _ in range(3)]


def sent(network):
    """Return the bodies of all reports that have reached the proxy."""
    return [json.loads(each.body) for each in network.matching(REPORTS)]


def completed():
    return list(
        TaskEvent.objects.filter(kind="completed").order_by("id").values_list("task_id", flat=True)
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
    open_phone, network, tasks, behaviour
):
    with open_phone() as phone:
        network.rule(REPORTS, behaviour)
        phone.report(tasks[0])
        phone.send()
        assert phone.reports("state") == ["waiting"]
        assert len(sent(network)) == 1

        network.clear()
        phone.send()

        assert phone.reports("state") == ["settled"]
    assert completed() == [tasks[0].pk]
    assert len({report["id"] for report in sent(network)}) == 1


def test_page_opens_and_takes_reports_while_the_server_is_stopped(
    chromium, transactional_db, tasks
):
    with chromium.new_context(**PHONE) as context:
        with serve() as server:
            sign_in(context, server, "van-3")
            phone = Phone(context, server)
            phone.open()
            phone.wait("phone.state.tasks.length === 3 && tab.canWorkOffline")

        phone.open()
        phone.report(tasks[0])
        phone.send()
        assert phone.reports("state") == ["waiting"]
        assert "No connection" in phone.words()

        with serve(port=urlsplit(server.url).port):
            phone.send()
            phone.wait("phone.reports[0].state === 'settled'")
    assert completed() == [tasks[0].pk]


def test_two_offline_reports_are_sent_once_each_in_order(open_phone, network, tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(tasks[1])
        phone.report(tasks[0])
        phone.send()
        assert phone.reports("task_id", "state") == [
            (tasks[1].pk, "waiting"),
            (tasks[0].pk, "waiting"),
        ]

        network.connect()
        phone.send()

        assert phone.reports("state") == ["settled", "settled"]
    assert [report["task_id"] for report in sent(network)] == [tasks[1].pk, tasks[0].pk]
    assert completed() == [tasks[1].pk, tasks[0].pk]


def test_reports_survive_a_killed_browser(kept_phone, network, tasks):
    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.state.tasks.length === 3 && tab.canWorkOffline")
        network.disconnect()
        phone.report(tasks[0])
        phone.report(tasks[1])
        kept_phone.kill()

    with kept_phone() as phone:
        # Still without a network: the page itself comes from the phone.
        phone.open()
        assert phone.reports("task_id", "state") == [
            (tasks[0].pk, "waiting"),
            (tasks[1].pk, "waiting"),
        ]
        network.connect()
        phone.send()
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")

    assert [report["task_id"] for report in sent(network)] == [tasks[0].pk, tasks[1].pk]
    assert completed() == [tasks[0].pk, tasks[1].pk]


def test_report_whose_answer_was_lost_by_a_kill_is_applied_once(kept_phone, network, tasks):
    answered = threading.Event()

    def kill_the_browser(exchange):
        exchange.forward()
        kept_phone.kill()
        answered.set()

    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        network.rule(REPORTS, kill_the_browser)
        phone.report(tasks[0], moved_qty=3)
        phone.start("sendNow()")
        assert answered.wait(30)

    network.clear()
    with kept_phone() as phone:
        phone.open()
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")

    first, second = sent(network)
    assert first["id"] == second["id"]
    assert completed() == [tasks[0].pk]


def test_server_that_asks_to_wait_is_left_alone(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(REPORTS, once(unavailable(4)))
        phone.report(tasks[0])
        phone.send()
        phone.hide()
        phone.hide(False)
        assert len(sent(network)) == 1

        phone.wait("phone.reports[0].state === 'settled'")
    assert len(sent(network)) == 2


def test_becoming_visible_ends_the_wait_after_a_failure(open_phone, network, tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        network.disconnect()
        phone.report(tasks[0])
        phone.send()
        network.connect()

        phone.hide()
        phone.hide(False)

        network.wait_for(REPORTS)


def test_page_retries_by_itself_after_a_failure(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(REPORTS, once(lose_request))
        phone.report(tasks[0])
        phone.send()

        phone.wait("phone.reports[0].state === 'settled'")


# Order


def test_report_blocks_later_ones_about_its_task_only(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(REPORTS, for_reports_about(tasks[0], SERVER_ERROR))
        phone.report(tasks[0], "problem", problems=["station_full"], note="")
        phone.report(tasks[0])
        phone.report(tasks[1])
        phone.send()
        assert phone.reports("state") == ["waiting", "waiting", "settled"]
        assert [report["kind"] for report in sent(network)] == ["problem", "done"]

        network.clear()
        phone.send()

        assert phone.reports("state") == ["settled"] * 3
    kinds = TaskEvent.objects.filter(task_id=tasks[0].pk).order_by("id")
    assert list(kinds.values_list("kind", flat=True))[-2:] == ["problem", "completed"]


def test_refused_report_blocks_no_other(open_phone, network, tasks):
    with open_phone() as phone:
        unknown = TaskFactory.build(id=tasks[0].pk + 1000, attempt=1)
        phone.report(unknown)
        phone.report(tasks[0], moved_qty="many")
        phone.report(tasks[0], "problem", problems=["blocked"], note="")
        phone.send()

        assert phone.reports("state") == ["refused", "refused", "settled"]
        assert phone.knows("phone.reports[0].answer.code") == "unknown_task"
        for report_id in phone.reports("id")[:2]:
            phone.do(f"dismiss('{report_id}')")
        assert phone.reports("state") == ["settled"]


def test_first_network_error_ends_the_try(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        for task in tasks:
            phone.report(task)
        phone.send()

        assert phone.reports("tries") == [1, 0, 0]


def test_several_tabs_do_not_send_twice(open_phone, network, tasks):
    network.rule(REPORTS, delay(0.5))
    with open_phone() as phone:
        other = type(phone)(phone.context, network)
        other.open()
        other.wait("phone.state.tasks.length === 3")
        for task in tasks:
            phone.report(task)

        phone.start("sendNow()")
        other.start("sendNow()")

        for each in (phone, other):
            each.wait("phone.reports.every(({ state }) => state === 'settled')")
    assert [report["task_id"] for report in sent(network)] == [task.pk for task in tasks]


def test_lock_of_a_dead_tab_is_ignored_after_a_minute(open_phone, network, tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        phone.page.evaluate(
            "void navigator.locks.request('crew sender /crew/', () => new Promise(() => {}))"
        )
        phone.report(tasks[0])
        phone.send()
        assert sent(network) == []

        phone.page.clock.run_for(62_000)

        network.wait_for(REPORTS)


# The tap


def test_report_can_be_undone_for_six_seconds(open_phone, network, tasks):
    with open_phone() as phone:
        undone = phone.report(tasks[0])
        kept = phone.report(tasks[1])
        assert phone.do(f"undo('{undone}')")
        assert phone.reports("id") == [kept]

        phone.wait("phone.reports[0].state === 'settled'")
        assert not phone.do(f"undo('{kept}')")
    assert completed() == [tasks[1].pk]


def test_report_is_sent_when_the_phone_goes_into_a_pocket(open_phone, network, tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        phone.report(tasks[0])

        phone.hide()

        network.wait_for(REPORTS)


def test_second_tap_saves_no_second_report(open_phone, network, tasks):
    with open_phone() as phone:
        first, second = phone.report(tasks[0]), phone.report(tasks[0])

        assert first == second
        assert len(phone.reports("id")) == 1


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_wrong_clock_of_the_phone_does_not_matter(open_phone, network, tasks, days):
    with open_phone(page=False) as phone:
        real = phone.page.evaluate("Date.now()")
        phone.page.clock.set_system_time(real / 1000 + days * 86_400)
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        phone.report(tasks[0])
        phone.send()

        assert phone.reports("state") == ["settled"]
        offset = phone.knows("phone.state.offset")
    assert abs(offset + days * 86_400_000) < 60_000
    task = Task.objects.get(pk=tasks[0].pk)
    assert timezone.now() - task.completed_at < timedelta(minutes=1)


def test_clock_set_back_does_not_hold_a_report(open_phone, network, tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(tasks[0])
        phone.page.clock.set_system_time(phone.page.evaluate("Date.now() / 1000 - 3600"))
        network.connect()

        phone.do("refresh()")
        phone.hide()
        phone.hide(False)

        phone.wait("phone.reports[0].state === 'settled'")


# Dispatch, and crews


def test_task_reassigned_meanwhile_is_explained(open_phone, network, tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(tasks[0], moved_qty=4)
        services.reassign_task(tasks[0].pk, "van-5", actor="maria", reason="Nearer")
        network.connect()
        phone.send()

        phone.wait("phone.state.tasks.length === 2")
        assert phone.reports("state") == ["settled"]
        answer = phone.knows("phone.reports[0].answer")
        assert (answer["code"], answer["worker_id"], answer["kept"]) == (
            "reassigned",
            "van-5",
            True,
        )
        assert "van-5" in phone.words()
        phone.do(f"dismiss('{phone.reports('id')[0]}')")
        assert phone.knows("phone.state.ended") == []
    late = TaskEvent.objects.get(kind="late_report")
    assert late.details["moved_qty"] == 4


def test_sign_out_in_the_middle_keeps_everything(open_phone, network, tasks):
    with open_phone() as phone:
        network.disconnect()
        for task in tasks:
            phone.report(task)
        device = CrewDevice.objects.get()
        services.revoke_device(device.pk, actor="maria")
        network.connect()

        phone.send()
        assert phone.reports("state") == ["waiting"] * 3
        assert len(sent(network)) == 1
        assert phone.knows("phone.state.signedIn") is False
        assert phone.knows("phone.state.tasks.length") == 3

        _, code = services.create_code(device.crew_id, actor="maria")
        phone.do(f"join('{code}')")
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")
    assert completed() == [task.pk for task in tasks]


def test_reports_of_another_crew_wait_until_it_signs_in_again(open_phone, network, tasks):
    other, _ = enrol("van-5")
    with open_phone() as phone:
        network.disconnect()
        phone.report(tasks[0])
        network.connect()
        network.rule(REPORTS, lose_request)
        _, code = services.create_code(other.crew_id, actor="maria")
        phone.do(f"join('{code}')")
        network.clear()
        phone.send()

        assert phone.knows("phone.state.tasks") == []
        assert phone.reports("crew", "state") == [("van-3", "waiting")]
        assert "van-3" in phone.words()
        assert CrewReport.objects.count() == 0

        mine = CrewDevice.objects.get(crew__worker_id="van-3")
        _, code = services.create_code(mine.crew_id, actor="maria")
        phone.do(f"join('{code}')")
        phone.wait("phone.reports.every(({ state }) => state === 'settled')")
    assert completed() == [tasks[0].pk]


def test_no_report_goes_out_under_the_cookie_of_another_crew(open_phone, network, tasks):
    """The cookie has changed, and the phone was killed before it wrote that down."""
    with open_phone() as phone:
        network.disconnect()
        phone.report(tasks[0])
        sign_in(phone.context, network, "van-5")
        network.rule("(GET|POST) /crew/api/(state|here)", lose_request)
        network.connect()

        phone.open()
        phone.send()
        assert sent(network) == []

        network.clear()
        phone.send()
        phone.wait("phone.state.crew.worker_id === 'van-5'")
        phone.send()

        assert phone.reports("crew", "state") == [("van-3", "waiting")]
    assert sent(network) == []


# Storage


BROKEN_STORAGE = """
  const open = indexedDB.open.bind(indexedDB);
  globalThis.failures = Infinity;
  indexedDB.open = (...values) => {
    if ((globalThis.failures -= 1) >= 0) throw new DOMException("Lost.", "UnknownError");
    return open(...values);
  };
"""


def test_page_without_storage_says_so_and_sends_from_memory(open_phone, network, tasks):
    with open_phone(page=False) as phone:
        phone.page.add_init_script(BROKEN_STORAGE)
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        opened = [each.headers["Sec-Fetch-Dest"] for each in network.matching("GET /crew/$")]
        assert opened.count("document") == 2, "It reloads once."
        assert "This phone cannot save reports" in phone.words()

        phone.report(tasks[0])
        phone.send()

        assert phone.reports("state") == ["settled"]
    assert completed() == [tasks[0].pk]


def test_report_in_memory_is_saved_once_the_storage_is_back(open_phone, network, tasks):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        phone.page.evaluate(LOSE_STORAGE)
        phone.report(tasks[0])
        assert "This phone cannot save reports" in phone.words()

        phone.page.evaluate("findStorage()")
        phone.hide()
        phone.hide(False)
        phone.wait_for_script("!document.body.innerText.includes('cannot save reports')")
        phone.open()

        assert phone.reports("task_id", "state") == [(tasks[0].pk, "waiting")]


LOSE_STORAGE = """() => {
  const { open } = indexedDB;
  const { transaction } = IDBDatabase.prototype;
  const fail = () => { throw new DOMException("Lost.", "UnknownError"); };
  indexedDB.open = IDBDatabase.prototype.transaction = fail;
  globalThis.findStorage = () => {
    indexedDB.open = open;
    IDBDatabase.prototype.transaction = transaction;
  };
}"""
