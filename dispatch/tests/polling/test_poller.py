"""Many systems in one process: each at its own pace, and none stops another."""

from datetime import timedelta

import pytest
from django.db import DataError
from django.db.models import F
from django.db.models.functions import Now

from dispatch import services
from dispatch.gbfs import Validators
from dispatch.models import Station, StationFeed, StatusPoll, System
from dispatch.polling import Poller, reading
from dispatch.polling.schedule import LONGEST_PAUSE

from ..support.factories import MORNING
from ..support.feeds import a_status, document

pytestmark = pytest.mark.django_db


def poll():
    """Read what is due. Return the results by system."""
    results = {}
    poller = Poller(60, 4, lambda recorded: results.update({str(recorded.lease.system): recorded}))
    poller.run()
    poller.close()
    return results


def make_due():
    System.objects.update(due_at=Now())


def seconds_to_next(name):
    system = System.objects.annotate(wait=F("due_at") - Now()).get(name=name)
    return system.wait.total_seconds()


def trouble(name, kind="status"):
    return StationFeed.objects.get(system=name, kind=kind).trouble


def test_stations_and_status_of_a_new_system_are_read_at_once(web):
    web.add("bay")
    web.add("oslo")

    results = poll()

    assert [each.errors for each in results.values()] == [{}, {}]
    assert set(Station.objects.values_list("system", flat=True)) == {"bay", "oslo"}
    assert StatusPoll.objects.count() == 2
    assert 55 <= seconds_to_next("bay") <= 63


def test_later_polls_ask_for_a_newer_status_only(web):
    web.add("bay")
    poll()
    web.asked.clear()
    web.answers["https://bay.example/station_status"] = None
    make_due()

    poll()

    assert web.paths("bay") == {"station_status": 1}
    assert web.asked["https://bay.example/station_status"] == [Validators('"v2"', "")]


def test_stations_are_read_again_after_an_hour(web):
    web.add("bay")
    poll()
    web.asked.clear()
    System.objects.update(due_at=Now(), stations_due_at=Now())

    poll()

    assert web.paths("bay") == {"gbfs.json": 2, "station_information": 1, "station_status": 1}


def test_nothing_is_read_before_it_is_due(web):
    web.add("bay")
    poll()

    assert poll() == {}


def test_ttl_also_holds_while_the_feed_is_not_modified(web):
    web.add("bay")
    rows = [a_status("3"), a_status("4")]
    web.answers["https://bay.example/station_status"] = document(rows, ttl=300)
    poller = Poller(60, 1, [].append)
    poller.run()
    assert seconds_to_next("bay") > 290
    web.answers["https://bay.example/station_status"] = None
    make_due()

    poller.run()
    poller.close()

    assert seconds_to_next("bay") > 290


def test_failing_system_backs_off_and_others_go_on(web):
    web.add("bay")
    web.add("oslo")
    poll()
    web.fails("bay")
    waits = []
    for _ in range(3):
        make_due()
        results = poll()
        waits.append(seconds_to_next("bay"))

    assert results["bay"].errors == {"status": "Down."}
    assert results["oslo"].errors == {}
    assert [round(wait / 60) for wait in waits[:2]] == [2, 4]
    assert waits[2] > 400
    assert (trouble("bay"), trouble("oslo")) == ("Down.", "")


def test_system_that_recovers_is_polled_as_before(web):
    web.add("bay")
    poll()
    web.fails("bay")
    make_due()
    poll()
    web.serves("bay")
    make_due()

    recorded = poll()["bay"]

    assert recorded.troubles["status"] == ("Down.", "")
    assert System.objects.get().failures == 0
    assert seconds_to_next("bay") <= 63


def test_discovery_document_is_asked_again_after_a_failure(web):
    """The feed may have moved."""
    web.add("bay")
    poll()
    System.objects.update(due_at=Now(), failures=1)
    web.asked.clear()

    poll()

    assert web.paths("bay") == {"gbfs.json": 1, "station_status": 1}


@pytest.mark.parametrize("asked", [3600, 10**9])
def test_server_that_wants_no_requests_gets_none(web, asked):
    web.add("bay")
    web.fails("bay", "Too many.", retry_after=asked)

    poll()

    assert web.paths("bay") == {"gbfs.json": 1}
    assert seconds_to_next("bay") > min(asked, LONGEST_PAUSE) - 60


def test_status_waits_for_the_stations_of_a_new_system(web):
    web.add("bay")
    web.answers["https://bay.example/station_information"] = document([])

    assert list(poll()["bay"].errors) == ["information"]

    assert "station_status" not in web.paths("bay")
    assert not StationFeed.objects.filter(kind="status").exists()


def test_stations_that_cannot_be_read_do_not_stop_the_status(web):
    web.add("bay")
    poll()
    web.answers["https://bay.example/station_information"] = document([])
    rows = [a_status("3"), a_status("4")]
    later = MORNING + timedelta(minutes=5)
    web.answers["https://bay.example/station_status"] = document(rows, later)
    System.objects.update(due_at=Now(), stations_due_at=Now())

    recorded = poll()["bay"]

    assert list(recorded.errors) == ["information"]
    assert StatusPoll.objects.count() == 2
    assert seconds_to_next("bay") <= 63


def test_fault_in_the_reader_is_one_systems_trouble(web, monkeypatch):
    web.add("bay")
    web.add("oslo")
    poll()
    make_due()
    read_status = reading.read_status

    def faulty(document):
        if document.data["stations"][0].get("faulty"):
            raise ZeroDivisionError
        return read_status(document)

    monkeypatch.setattr(reading, "read_status", faulty)
    rows = [a_status("3", faulty=True), a_status("4")]
    web.answers["https://bay.example/station_status"] = document(rows)

    poll()

    assert trouble("bay") == "It could not be read: ZeroDivisionError()"
    assert trouble("oslo") == ""


@pytest.mark.parametrize("fault", [ZeroDivisionError, DataError])
def test_fault_in_recording_is_one_systems_trouble(web, monkeypatch, fault):
    web.add("bay")
    web.add("oslo")
    record_status = services.record_status

    def faulty(status, *, system, **options):
        if system == "bay":
            raise fault
        return record_status(status, system=system, **options)

    monkeypatch.setattr(services, "record_status", faulty)

    assert set(poll()) == {"bay", "oslo"}
    assert trouble("bay") == f"It could not be recorded: {fault.__name__}()"
    assert trouble("oslo") == ""
    assert seconds_to_next("bay") > 100


def test_inactive_systems_are_not_read(web):
    web.add("bay", active=False)

    assert poll() == {}


def everything(due):
    return due


def test_leased_system_is_left_to_its_poller(web):
    web.add("bay")
    [lease] = services.lease_systems(everything)

    assert lease.with_stations
    assert services.lease_systems(everything) == []

    services.release_systems([lease])
    assert len(services.lease_systems(everything)) == 1


def test_system_of_a_killed_poller_is_due_after_its_lease(web):
    web.add("bay")
    services.lease_systems(everything)

    assert 170 <= seconds_to_next("bay") <= 180


def test_system_that_was_changed_during_its_reading_is_due_at_once(web):
    system = web.add("bay")
    [lease] = services.lease_systems(everything)
    System.objects.update(address="https://moved.example/gbfs.json")
    services.read_soon(system)

    services.end_lease(lease, pause=60, failures=0, stations_pause=3600)

    [lease] = services.lease_systems(everything)
    assert lease.with_stations


def test_stop_leaves_nothing_leased(web):
    web.add("bay")
    poller = Poller(60, 1, [].append, stopped=lambda: True)
    poller.start()

    poller.run(60)
    poller.close()

    assert seconds_to_next("bay") <= 0
