"""A crew's day on the page, against the real service. A real browser."""

from contextlib import contextmanager

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from dispatch import services
from dispatch.models import Crew, CrewCode, Task, TaskEvent

from ..support.factories import CrewFactory, StationFactory, StationStatusFactory, TaskFactory
from ..support.phone_browser import network, open_phone

__all__ = ["network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(240),
]

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def crew():
    return CrewFactory(worker_id="van-3", name="Night van", capacity=20)


@pytest.fixture
def tasks():
    """Three ready tasks of six bikes from Ferry Building to Duboce Park, oldest first."""
    for number, name, bikes in ((100, "Ferry Building", 17), (200, "Duboce Park", 2)):
        station = StationFactory(id=number, name=name, lat=37.79, lon=-122.39 - number / 10_000)
        StationStatusFactory(station=station, bikes=bikes, docks=20, as_of=timezone.now())
    return [TaskFactory(from_station_id=100, to_station_id=200, qty=6) for _ in range(3)]


@pytest.fixture
def handset(open_phone):
    """Open a phone. Fails if a script failed, or if the content policy forbade something."""

    @contextmanager
    def opened(worker_id=None, **options):
        complaints = []
        with open_phone(worker_id, page=False, **options) as phone:
            phone.page.on("pageerror", lambda error: complaints.append(str(error)))
            phone.page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if "Content Security" in message.text else None
                ),
            )
            yield phone
        assert complaints == []

    return opened


def code_for(crew):
    _, code = services.create_code(crew.pk, actor="maria")
    return code


def tap(phone, name, role="button"):
    phone.page.get_by_role(role, name=name, exact=True).first.click()


def sees(phone, *texts):
    for text in texts:
        expect(phone.page.locator("#page")).to_contain_text(text)


def start_task(phone):
    tap(phone, "Next task")
    sees(phone, "Kept for you until")


def send(phone):
    """Send the report that was just saved, without waiting until it can no longer be undone."""
    sees(phone, "Saved on this phone")
    phone.send()
    phone.refresh()


def test_crew_joins_by_a_link_that_only_a_tap_spends(handset, crew):
    with handset() as phone:
        phone.open(f"/crew/join#{code_for(crew)}")
        sees(phone, "Join as Night van?")
        assert phone.page.url.endswith("/crew/join#join")
        assert CrewCode.objects.get().used_at is None

        tap(phone, "Join as van-3")

        sees(phone, "You are free")
        assert CrewCode.objects.get().used_at is not None
        phone.open()
        sees(phone, "You are free", "Night van")


def test_crew_joins_by_typing_the_code(handset, crew):
    with handset() as phone:
        phone.open()
        field = phone.page.get_by_label("Code")
        field.fill("bcd")
        tap(phone, "Continue")
        sees(phone, "A code has eight letters")
        field.fill("bcdf ghjk")
        tap(phone, "Continue")
        sees(phone, "This code is wrong, has expired or was used before.")
        field.fill(code_for(crew).lower().replace("-", " "))
        field.press("Enter")
        tap(phone, "Join as van-3")
        sees(phone, "You are free")


def test_iphone_is_sent_to_the_home_screen_first(handset, crew):
    code = code_for(crew)
    with handset(user_agent=IPHONE) as phone:
        phone.open(f"/crew/join#{code}")
        sees(phone, "First put this page on your home screen", code)
        assert CrewCode.objects.get().used_at is None
        tap(phone, "Use this browser instead")
        tap(phone, "Join as van-3")
        sees(phone, "You are free")


def test_day_of_a_crew(handset, crew, tasks):
    first, second, _ = tasks
    with handset("van-3") as phone:
        phone.open()
        sees(phone, "3 tasks wait.", "0 tasks done today")
        start_task(phone)
        sees(phone, "6 bikes to move", "Ferry Building", "17 bikes, 20 free docks (just now)")
        links = phone.page.get_by_role("link", name="Open Duboce Park in maps")
        assert links.get_attribute("href").startswith("https://www.google.com/maps/dir/?api=1")

        services.message_crew(first.pk, "<b>Back door</b>", actor="maria")
        phone.refresh()
        sees(phone, "Message from dispatch", "“<b>Back door</b>”")
        tap(phone, "OK, read")
        expect(phone.page.locator(".panel")).to_have_count(0)
        sees(phone, "Messages from dispatch")

        tap(phone, "Problem", "link")
        tap(phone, "Blocked")
        tap(phone, "Report the problem")
        send(phone)
        sees(phone, "Problems you reported")
        tap(phone, "I am here")
        expect(phone.page.locator("#said")).to_have_text("Dispatch knows that you are here.")

        tap(phone, "Done", "link")
        tap(phone, "One fewer")
        tap(phone, "One fewer")
        tap(phone, "Station full")
        tap(phone, "Save: 4 bikes")
        sees(phone, "Saved on this phone", "Done: 4 bikes")
        send(phone)
        sees(phone, "1 task done today", "4 bikes moved today")

        start_task(phone)
        tap(phone, "Give the task back", "link")
        tap(phone, "Van is full")
        tap(phone, "Give the task back")
        send(phone)
        sees(phone, "You are free", "2 tasks wait.")

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.moved_qty) == ("completed", 4)
    assert second.status == "ready"
    told = TaskEvent.objects.filter(task_id=first.pk)
    assert told.get(kind="completed").details["problems"] == ["station_full"]
    assert told.get(kind="problem").details["problems"] == ["blocked"]
    assert told.filter(kind="seen", details__message_id__isnull=False).exists()
    assert TaskEvent.objects.get(kind="released").details["reason"] == "Van is full"


def test_report_can_be_undone_and_corrected(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        start_task(phone)
        tap(phone, "Done", "link")
        tap(phone, "None")
        tap(phone, "Save: 0 bikes")
        tap(phone, "Undo")
        sees(phone, "How many bikes did you move?")
        expect(phone.page.locator("output")).to_have_text("0")
        tap(phone, "All 6")
        tap(phone, "One more")
        tap(phone, "Save: 7 bikes")
        sees(phone, "The task asks for 6 bikes. Did you really move 7?")
        tap(phone, "Yes, 7 bikes")
        send(phone)
        sees(phone, "7 bikes moved today")
    assert Task.objects.get(status="completed").moved_qty == 7


def test_half_filled_form_survives_a_reload(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        start_task(phone)
        tap(phone, "Done", "link")
        tap(phone, "One fewer")
        phone.page.get_by_label("Note for dispatch").fill("Two locks are broken")
        # It is written a moment later.
        form = f"done/{tasks[0].pk}/1"
        phone.wait_for_script(
            f"""import("{phone.engine}").then(({{ recall }}) => recall("screen")).then(
                  (kept) => kept?.drafts["{form}"]?.note === "Two locks are broken")"""
        )
        phone.page.reload()
        expect(phone.page.locator("output")).to_have_text("5")
        note = phone.page.get_by_label("Note for dispatch")
        expect(note).to_have_value("Two locks are broken")


def test_task_that_comes_back_has_an_empty_form(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        start_task(phone)
        tap(phone, "Done", "link")
        phone.page.get_by_label("Note for dispatch").fill("Two locks are broken")
        phone.page.go_back()
        for worker_id in ("van-5", "van-3"):
            services.reassign_task(tasks[0].pk, worker_id, actor="maria", reason="Nearer")
        phone.refresh()
        tap(phone, "Done", "link")
        expect(phone.page.get_by_label("Note for dispatch")).to_have_value("")


def test_reassignment_is_said_while_the_form_is_open(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        start_task(phone)
        tap(phone, "Done", "link")
        services.reassign_task(tasks[0].pk, "van-5", actor="maria", reason="Nearer")
        phone.refresh()
        sees(phone, "No longer your task", "Dispatch gave this task to van-5", "“Nearer”")
        tap(phone, "Save: 6 bikes")
        send(phone)
        sees(phone, "Answer to your report", "Your report was kept.")
        tap(phone, "OK")
        sees(phone, "You are free")
        expect(phone.page.locator(".panel")).to_have_count(0)
    assert TaskEvent.objects.filter(kind="late_report", task_id=tasks[0].pk).count() == 1


def test_dispatch_gives_a_task_and_makes_it_urgent(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        sees(phone, "You are free")
        services.reassign_task(tasks[1].pk, "van-3", actor="maria", reason="")
        phone.refresh()
        sees(phone, "Dispatch gave you a task", "6 bikes to move")
        tap(phone, "OK")
        services.prioritize_task(tasks[1].pk, priority=5, actor="maria")
        phone.refresh()
        sees(phone, "Dispatch made this task more urgent", "Urgent")


def test_language_can_be_changed_without_a_network(handset, network, crew):
    Crew.objects.update(language="es")
    with handset("van-3") as phone:
        phone.open()
        sees(phone, "Estás libre")
        phone.wait("tab.canWorkOffline")
        network.disconnect()
        phone.page.reload()
        sees(phone, "Estás libre")
        tap(phone, "Ajustes y ayuda", "link")
        tap(phone, "English")
        sees(phone, "Settings and help", "This page opens and takes reports.")
        phone.page.reload()
        sees(phone, "Settings and help")


def test_new_screen_has_the_focus_and_a_keyboard_gets_room(handset, crew, tasks):
    with handset("van-3") as phone:
        phone.open()
        start_task(phone)
        tap(phone, "Problem", "link")
        expect(phone.page.get_by_role("heading", name="What is the problem?")).to_be_focused()
        sees(phone, "Choose a problem or write a note first.")
        dock = phone.page.locator(".dock")
        expect(dock).to_have_css("position", "sticky")
        phone.page.get_by_label("Note for dispatch").focus()
        expect(dock).to_have_css("position", "static")
        phone.page.go_back()
        sees(phone, "6 bikes to move")


def test_signing_out_without_a_network_changes_nothing(handset, crew):
    with handset("van-3") as phone:
        phone.open("/crew/#help")
        tap(phone, "Sign this phone out")
        phone.context.set_offline(True)
        tap(phone, "Sign out")
        expect(phone.page.locator("#said")).to_have_text("No connection.")
        phone.context.set_offline(False)
        phone.open()
        sees(phone, "You are free")


def test_signing_out_asks_first(handset, crew):
    with handset("van-3") as phone:
        phone.open("/crew/#help")
        tap(phone, "Sign this phone out")
        sees(phone, "To use this phone again, you need a new code from dispatch.")
        tap(phone, "Sign out")
        sees(phone, "Join your crew")
        phone.open()
        sees(phone, "Join your crew")
