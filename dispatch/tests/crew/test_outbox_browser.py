"""Reports from the tap to the answer, also with a wrong clock or another crew."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Error

from dispatch import services
from dispatch.models import CrewDevice, CrewReport, Task, TaskEvent

from ..support.bad_proxy import lose_request, rewrite
from ..support.phone_browser import (
    REPORTS,
    completed_tasks,
    enrol,
    held_tasks,
    network,
    open_phone,
    sent,
    sign_in,
)

__all__ = ["held_tasks", "network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]


# The tap


def test_report_can_be_undone_for_six_seconds(open_phone, network, held_tasks):
    with open_phone() as phone:
        undone = phone.report(held_tasks[0])
        kept = phone.report(held_tasks[1])
        assert phone.do(f"undo('{undone}')")
        assert phone.reports("id") == [kept]

        phone.wait("phone.reports[0].state === 'settled'")
        assert not phone.do(f"undo('{kept}')")
    assert completed_tasks() == [held_tasks[1].pk]


def test_report_is_sent_when_the_phone_goes_into_a_pocket(open_phone, network, held_tasks):
    with open_phone() as phone:
        phone.page.clock.install()
        phone.report(held_tasks[0])

        phone.hide()

        network.wait_for(REPORTS)


def test_second_tap_saves_no_second_report(open_phone, network, held_tasks):
    with open_phone() as phone:
        first, second = phone.report(held_tasks[0]), phone.report(held_tasks[0])

        assert first == second
        assert len(phone.reports("id")) == 1


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_wrong_clock_of_the_phone_does_not_matter(open_phone, network, held_tasks, days):
    with open_phone(page=False) as phone:
        real = phone.page.evaluate("Date.now()")
        phone.page.clock.set_system_time(real / 1000 + days * 86_400)
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        phone.report(held_tasks[0])
        phone.send()

        assert phone.reports("state") == ["settled"]
        offset = phone.knows("phone.state.offset")
    assert abs(offset + days * 86_400_000) < 60_000
    task = Task.objects.get(pk=held_tasks[0].pk)
    assert timezone.now() - task.completed_at < timedelta(minutes=1)


def test_clock_set_back_does_not_hold_a_report(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(held_tasks[0])
        phone.page.clock.set_system_time(phone.page.evaluate("Date.now() / 1000 - 3600"))
        network.connect()

        phone.do("refresh()")
        phone.hide()
        phone.hide(False)

        phone.wait("phone.reports[0].state === 'settled'")


# Dispatch, and crews


def test_task_reassigned_meanwhile_is_explained(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.disconnect()
        phone.report(held_tasks[0], moved_qty=4)
        services.reassign_task(held_tasks[0].pk, "van-5", actor="maria", reason="Nearer")
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


def test_old_answer_does_not_hide_what_became_of_a_task_later(open_phone, network, held_tasks):
    task = held_tasks[0]
    with open_phone() as phone:
        services.reassign_task(task.pk, "van-5", actor="maria", reason="Nearer")
        phone.report(task)
        phone.send()
        services.reassign_task(task.pk, "van-3", actor="maria", reason="They are full")
        phone.do("refresh()")
        services.cancel_task(task.pk, actor="maria", reason="Road works")
        phone.do("refresh()")
        assert "Road works" in phone.words()

        phone.do(f"dismiss('{phone.reports('id')[0]}')")

        assert "Road works" in phone.words()


def test_sign_out_in_the_middle_keeps_everything(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.disconnect()
        for task in held_tasks:
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
    assert completed_tasks() == [task.pk for task in held_tasks]


def test_reports_of_another_crew_wait_until_it_signs_in_again(open_phone, network, held_tasks):
    other, _ = enrol("van-5")
    with open_phone() as phone:
        network.disconnect()
        phone.report(held_tasks[0])
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
    assert completed_tasks() == [held_tasks[0].pk]


def test_no_report_goes_out_under_the_cookie_of_another_crew(open_phone, network, held_tasks):
    """The cookie has changed, and the phone was killed before it wrote that down."""
    with open_phone() as phone:
        network.disconnect()
        phone.report(held_tasks[0])
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


def test_no_report_goes_to_the_crew_of_a_join_whose_answer_was_cut_off(
    open_phone, network, held_tasks
):
    other, _ = enrol("van-5")
    with open_phone() as phone:
        network.rule("POST /crew/api/join", rewrite(lambda body: body[:9]))
        _, code = services.create_code(other.crew_id, actor="maria")
        with pytest.raises(Error, match="no_network"):
            phone.do(f"join('{code}').catch(({{ code }}) => {{ throw Error(code); }})")

        phone.report(held_tasks[0])
        phone.send()

        assert phone.reports("crew", "state") == [("van-3", "waiting")]
    assert CrewReport.objects.count() == 0
