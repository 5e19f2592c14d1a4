"""poll_status without a SOURCE, and both commands for a system of the console."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from dispatch.management.commands import poll_status
from dispatch.models import Heartbeat, Station, System

from ..support.feeds import a_station, document

pytestmark = pytest.mark.django_db


def run(*arguments, **options):
    """Return what the command prints, and its errors."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_each_system_that_is_due_is_reported(web):
    web.add("bay")

    assert run("poll_status") == (
        "bay: 2 stations added, 0 changed, 0 unchanged, 0 gone, 0 back.\n"
        "bay at 2015-05-04 08:00:00 UTC: 2 stations, 1 empty, 0 full, 0 closed, 0 unknown.\n",
        "",
    )
    assert run("poll_status") == ("No system is due.\n", "")


def test_results_of_systems_are_available_as_json(web):
    web.add("bay")

    output, _ = run("poll_status", json=True)

    poll = json.loads(output)
    assert (poll["system"], poll["information"]["added"], poll["status"]["empty"]) == ("bay", 2, 1)
    assert poll["late"] >= 0
    assert poll["errors"] == {}


def test_failure_of_one_system_is_the_commands(web):
    web.add("bay")
    web.add("oslo")
    web.fails("bay")
    out, err = StringIO(), StringIO()

    with pytest.raises(CommandError, match=r"^1 system was not read without an error\.$"):
        call_command("poll_status", stdout=out, stderr=err)

    assert err.getvalue() == "bay: Down.\n"
    assert "oslo at" in out.getvalue()


def endless(polls, monkeypatch):
    """Run `poll_status --every 60` for so many polls; before each, everything becomes due."""
    command = poll_status.Command(stdout=StringIO(), stderr=StringIO())
    rounds = iter(polls)

    class Poller(poll_status.Poller):
        def run(self, seconds):
            for prepare in rounds:
                prepare()
                System.objects.update(due_at=Now())
                super().run(None)
            command.stopped.set(15)

    monkeypatch.setattr(poll_status, "Poller", Poller)
    monkeypatch.setattr("dispatch.management.periodic.connection.close", lambda: None)
    call_command(command, every=60)
    return command.stdout.getvalue(), command.stderr.getvalue()


def test_endless_polling_reports_only_changes(web, monkeypatch):
    web.add("bay")
    polls = [
        lambda: None,
        lambda: web.fails("bay", "Late by 17 s."),
        lambda: web.fails("bay", "Late by 29 s."),
        lambda: web.fails("bay", "Down."),
        lambda: web.serves("bay"),
        lambda: None,
    ]

    output, errors = endless(polls, monkeypatch)

    assert errors == "bay: Late by 17 s.\nbay: Down.\n"
    assert output == "bay: the status feed has recovered.\n"
    assert Heartbeat.objects.filter(name="poll_status").exists()


@pytest.mark.parametrize("threads", ["0", "257"])
def test_number_of_threads_is_limited(threads):
    with pytest.raises(CommandError, match=r"^--threads takes 1 to 256\.$"):
        run("poll_status", "--threads", threads)


def test_system_of_the_console_needs_no_source(web):
    web.add("bay")

    assert run("sync_stations", system="bay")[0].startswith("bay: 2 stations added")
    assert run("poll_status", system="bay")[0].startswith("bay at")
    web.answers["https://bay.example/station_information"] = document([a_station("9")])
    with pytest.raises(CommandError, match="--allow-shrink"):
        run("sync_stations", system="bay")
    run("sync_stations", system="bay", allow_shrink=True)

    assert set(Station.objects.present().values_list("pk", flat=True)) == {9}


@pytest.mark.parametrize("options", [{}, {"system": "bay"}])
def test_sync_without_a_source_needs_a_system_of_the_console(options):
    with pytest.raises(CommandError, match="Name a SOURCE, or by --system a system in the console"):
        run("sync_stations", **options)
