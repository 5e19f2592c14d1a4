"""The daily report: its figures, its size, and that it is sent once."""

from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core import mail as outbox
from django.core.management import CommandError, call_command
from django.utils import timezone

from dispatch.mail import MailSender
from dispatch.mail.content import render
from dispatch.mail.report import ROWS, chart_of, report_content
from dispatch.models import MailMessage

from ..support.factories import CrewFactory
from ..support.kpi_days import HOSTILE, at, small_city
from ..support.kpi_shift import happened, shift

pytestmark = pytest.mark.django_db

DAY = date(2015, 5, 4)
# Gmail cuts an e-mail above 102 kB.
LARGEST = 100_000


@pytest.fixture(autouse=True)
def in_memory(set_up, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    outbox.outbox = []


def test_report_shows_the_day_beside_the_same_day_of_the_week_before():
    small_city()
    shift()
    for _ in range(2):
        happened("completed", at(9) - timedelta(days=7), 9, "van-9", 1, moved_qty=20)

    content = report_content(DAY)

    assert content.subject == "Report of Monday, 4 May 2015"
    lines = content.text.splitlines()
    assert "Tasks completed: 4 (2)" in lines
    assert "Bikes moved: 14 (40)" in lines
    assert "Stations empty or full: 33.33 % (-)" in lines
    assert "  East (bay): 8 (0)" in lines
    assert "  Night van: 5 (0)" in lines
    assert "  van-9: 0 (40)" in lines
    assert "  Mon 4 May: 14 (40)" in lines
    assert "  09:00: 100.0 %" in lines
    assert "https://dispatch.example.org/admin/kpi/?from=2015-05-04&to=2015-05-04" in content.text


def test_charts_of_stockouts_show_the_goal(settings):
    small_city()
    without = report_content(DAY)
    settings.STOCKOUT_GOAL_PERCENT = 5
    content = report_content(DAY)

    assert "Goal" not in without.text + without.html
    lines = content.text.splitlines()
    for title in ("Stations empty or full by hour", "Stations empty or full by day"):
        assert lines[lines.index(title) + 1] == "  Goal: at most 5.0 %"
    assert content.html.count("Goal: at most") == 2


def test_goal_above_all_bars_has_the_longest_bar():
    chart = chart_of("Stations", [("09:00", 5.0, None)], goal=10)

    assert (chart.goal.width, chart.bars[0].width) == (100, 50)


def test_crews_of_the_same_name_are_shown_apart():
    for number, worker_id in enumerate(("van-1", "van-2"), 1):
        CrewFactory(worker_id=worker_id, name="North")
        happened("completed", at(9), number, worker_id, 1, moved_qty=number)

    lines = report_content(DAY).text.splitlines()

    assert [line for line in lines if "North" in line] == ["  North: 1 (0)", "  North: 2 (0)"]


def test_report_of_a_day_without_data_says_so():
    content = report_content(DAY)

    assert "No station status was polled on this day." in content.text
    assert "Bikes moved by hour" not in content.text


def test_html_needs_nothing_from_elsewhere_and_runs_nothing():
    small_city()
    happened("completed", at(9), 1, HOSTILE[:50], 1, moved_qty=1)

    html = report_content(DAY).html

    assert "<script" not in html
    for part in ("<img", "src=", "url(", "<svg", "<link", "@import"):
        assert part not in html


def test_report_of_many_crews_is_too_small_to_be_cut(subscribe):
    for number in range(ROWS + 20):
        happened("completed", at(9), 1, f"{'名' * 60}-{number}", 1, moved_qty=number)
    subscribe(daily_report=True)

    call_command("daily_report", "--date", str(DAY))
    MailSender().run()

    report = next(mail for mail in outbox.outbox if "2015" in mail.subject)
    assert len(report.message().as_bytes()) < LARGEST
    assert "And 20 more." in report.body


def test_longest_bars_are_kept_and_scaled():
    chart = chart_of("Bikes", [(str(n), n, None) for n in range(ROWS + 1)])

    assert chart.more == 1
    assert (chart.bars[0].label, chart.bars[0].width) == (str(ROWS), 100)
    assert chart.bars[-1].label == "1"


# Sent once


def test_report_is_enqueued_once_for_each_subscriber(subscribe, capsys):
    subscribe(daily_report=True)
    subscribe("tom")

    for _ in range(2):
        call_command("daily_report", "--date", "2015-05-04")

    assert capsys.readouterr().out == (
        "Enqueued 1 report of 2015-05-04.\nEnqueued 0 reports of 2015-05-04.\n"
    )
    assert MailMessage.objects.get().day == DAY


def test_sender_sends_the_report_of_yesterday_once(subscribe):
    subscribe(daily_report=True)

    MailSender().run()
    MailSender().run()

    yesterday = timezone.localdate() - timedelta(days=1)
    assert [mail.subject for mail in outbox.outbox] == [
        f"[Bay Wheels] Report of {yesterday:%A, %-d %B %Y}"
    ]


def test_report_waits_for_its_hour(subscribe, settings):
    settings.DAILY_REPORT_HOUR = 24
    subscribe(daily_report=True)

    MailSender().run()

    assert outbox.outbox == []


def test_reader_without_the_rights_gets_no_report(subscribe):
    user = subscribe(daily_report=True, is_superuser=False).user
    user.user_permissions.add(Permission.objects.get(codename="view_task"))

    MailSender().run()

    assert MailMessage.objects.get().state == "dropped"


def test_report_is_sent_to_one_address_now(capsys):
    call_command("daily_report", "--date", "2015-05-04", "--to", "boss@example.org")

    [mail] = outbox.outbox
    assert mail.to == ["boss@example.org"]
    assert mail.message()["Message-ID"].endswith("@example.org>")
    assert not MailMessage.objects.exists()
    assert capsys.readouterr().out == "Sent the report of 2015-05-04 to boss@example.org.\n"


@pytest.mark.parametrize("address", ["boss", "a@b.example, c@d.example", "a@b\nBcc: c@d.example"])
def test_invalid_address_is_refused(address):
    with pytest.raises(CommandError, match="is not an e-mail address"):
        call_command("daily_report", "--to", address)


def test_mail_server_that_is_down_is_reported_in_one_line(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"

    with pytest.raises(CommandError, match="The mail server fails"):
        call_command("daily_report", "--to", "boss@example.org")


def test_both_forms_are_written_from_the_same_words():
    content = render("test", "Test", {"name": "<maria>"})

    assert "<maria>" in content.text
    assert "&lt;maria&gt;" in content.html
