"""sync_stations, poll_status and export_stations, as an operator runs them."""

import csv
import io
import json
import signal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from dispatch.gbfs import Answer, Validators, sources
from dispatch.management import feeds, periodic
from dispatch.management.commands import export_stations, poll_status
from dispatch.models import Station, StationAlias, StationFeed, StationStatus

from ..support.factories import MORNING
from ..support.feeds import a_station, a_status, document, record, sync
from ..support.server import running_command

pytestmark = pytest.mark.django_db

STATUS_URL = "https://feeds.example/station_status.json"


def run(*arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err, **options)
    return out.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture
def information(write):
    return write("information.json", document([a_station("3"), a_station("uuid-1")]))


@pytest.fixture
def status(write):
    return write("status.json", document([a_status("3", 0), a_status("uuid-1")]))


@pytest.fixture
def web(monkeypatch):
    """The answer of each address: bytes, None for not modified, or an error."""
    answers, asked = {}, []

    def fetch(source, validators, access, deadline):
        asked.append((source, validators))
        answer = answers[source]
        if isinstance(answer, Exception):
            raise answer
        return answer and Answer(answer, Validators('"v2"', ""))

    monkeypatch.setattr(sources, "fetch", fetch)
    answers["asked"] = asked
    return answers


BAY = "https://feeds.example"


@pytest.fixture
def city(web):
    """A system with a discovery document that lists its feeds."""
    names = ("station_information", "system_information", "system_regions")
    feeds = [{"name": name, "url": f"{BAY}/{name}"} for name in names]
    web[f"{BAY}/gbfs.json"] = json.dumps({"data": {"feeds": feeds}}).encode()
    stations = [a_station("3", region_id=7), a_station("4", region_id="8"), a_station("5")]
    web[f"{BAY}/station_information"] = document(stations)
    web[f"{BAY}/system_information"] = json.dumps(
        {"data": {"system_id": "bay", "timezone": "America/Los_Angeles"}}
    ).encode()
    regions = [{"region_id": "7", "name": "Oakland"}, None, {"region_id": 9}, {"name": "Nowhere"}]
    web[f"{BAY}/system_regions"] = json.dumps({"data": {"regions": regions}}).encode()
    return web


def areas_stored():
    return list(Station.objects.order_by("pk").values_list("area", flat=True))


def regions_stored():
    return list(Station.objects.order_by("pk").values_list("region", flat=True))


def test_sync_keeps_the_names_of_regions_and_the_ids_of_unnamed_ones(city):
    run("sync_stations", f"{BAY}/gbfs.json")

    assert regions_stored() == ["Oakland", "8", ""]
    assert areas_stored() == ["Oakland", "", ""]


def test_sync_without_names_of_regions_takes_areas_from_short_names(information):
    stations = [
        a_station("3", short_name="SF-A1", region_id="5"),
        a_station("4", short_name="SJ-A1"),
    ]
    Path(information).write_bytes(document(stations))

    run("sync_stations", information, system="bay")

    assert regions_stored() == ["5", ""]
    assert areas_stored() == ["SF", "SJ"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("system_regions", sources.BadFeed("No regions.")),
        ("system_information", sources.BadFeed("No system.")),
    ],
)
def test_sync_survives_an_unreadable_document_about_the_system(city, name, answer):
    run("sync_stations", f"{BAY}/gbfs.json", system="bay")
    city[f"{BAY}/{name}"] = answer
    err = io.StringIO()

    call_command(
        "sync_stations", f"{BAY}/gbfs.json", system="bay", stdout=io.StringIO(), stderr=err
    )

    assert str(answer) in err.getvalue()
    assert regions_stored() == ["Oakland", "8", ""]
    assert areas_stored() == ["Oakland", "", ""]


@pytest.mark.parametrize(
    ("zone", "warning"),
    [
        ("UTC", "The feed's time zone is America/Los_Angeles, but TIME_ZONE is UTC.\n"),
        ("America/Los_Angeles", ""),
        ("US/Pacific", ""),
    ],
)
def test_sync_warns_if_the_feeds_time_zone_is_not_the_consoles(city, settings, zone, warning):
    settings.TIME_ZONE = zone
    err = io.StringIO()

    call_command("sync_stations", f"{BAY}/gbfs.json", stdout=io.StringIO(), stderr=err)

    assert err.getvalue() == warning


def test_sync_of_a_file_is_reported_in_one_line(information):
    assert run("sync_stations", information, system="bay") == (
        "bay: 2 stations added, 0 changed, 0 unchanged, 0 gone, 0 back.\n"
    )
    assert list(Station.objects.order_by("pk").values_list("pk", flat=True)) == [3, 1_000_000]


def test_poll_is_reported_in_one_line(information, status):
    run("sync_stations", information, system="bay")

    assert run("poll_status", status) == (
        "bay at 2015-05-04 08:00:00 UTC: 2 stations, 1 empty, 0 full, 0 closed, 0 unknown.\n"
    )
    assert run("poll_status", status) == "bay: no newer feed.\n"


def test_bad_rows_are_reported_too(write):
    rows = [a_station("3"), a_station("4"), a_station("5", lat=None)]

    output = run("sync_stations", write("i.json", document(rows)), system="bay")

    assert output.endswith("0 back. 1 bad row: 5: no valid position.\n")


def test_results_are_available_as_json(information, status):
    synced = json.loads(run("sync_stations", information, system="bay", json=True))
    polled = json.loads(run("poll_status", status, json=True))

    assert (synced["system"], synced["added"], synced["remarks"]) == ("bay", 2, "")
    assert (polled["at"], polled["empty"]) == ("2015-05-04T08:00:00+00:00", 1)
    assert json.loads(run("poll_status", status, json=True))["is_new"] is False


def test_system_is_named_by_its_source(information, write):
    system = write("system.json", b'{"data": {"system_id": "bay"}}')

    run("sync_stations", information, system)
    assert set(Station.objects.values_list("system", flat=True)) == {"bay"}


def test_stations_of_an_unnamed_system_are_refused(information):
    with pytest.raises(CommandError, match="Give it a name with --system"):
        run("sync_stations", information)
    assert not Station.objects.exists()


@pytest.mark.parametrize("name", [" bay", "a\nb", "x" * 101])
def test_system_name_is_one_short_line(information, name):
    with pytest.raises(CommandError, match="one line of at most 100 characters"):
        run("sync_stations", information, system=name)


@pytest.mark.parametrize("source", ["https://feeds.example/", "./"])
def test_source_too_long_to_store_is_refused(source):
    for command in ("sync_stations", "poll_status"):
        with pytest.raises(CommandError, match=r"^A SOURCE has at most 2000 characters\.$"):
            run(command, source.ljust(2001, "x"), system="bay")
    assert not StationFeed.objects.exists()


def test_source_read_before_needs_no_system_name(information, status):
    run("sync_stations", information, system="bay")

    assert run("sync_stations", information).startswith("bay: 0 stations added")


def test_status_must_name_its_system_if_there_are_several(information, status):
    run("sync_stations", information, system="bay")
    run("sync_stations", information, system="other")

    with pytest.raises(CommandError, match="--system"):
        run("poll_status", status)
    assert run("poll_status", status, system="other").startswith("other at")
    assert run("poll_status", status) == "other: no newer feed.\n"


def test_trouble_is_one_line_and_marks_the_feed_until_a_success(information, status, write):
    run("sync_stations", information, system="bay")
    run("poll_status", status, system="bay")

    broken = write("status.json", b"<html>")
    with pytest.raises(CommandError, match=r"status.json: It is not JSON\.$"):
        run("poll_status", broken)

    feed = StationFeed.objects.get(kind="status")
    assert feed.trouble.endswith("It is not JSON.")
    assert feed.made_at == MORNING
    assert StationStatus.objects.count() == 2
    write("status.json", document([a_status("3"), a_status("uuid-1")], MORNING.replace(minute=30)))
    run("poll_status", status)
    feed.refresh_from_db()
    assert (feed.trouble, feed.troubled_at) == ("", None)


def test_refusal_by_a_service_marks_the_feed_as_well(information, status):
    with pytest.raises(CommandError, match="Run sync_stations first"):
        run("poll_status", status, system="bay")

    assert "Run sync_stations first" in StationFeed.objects.get().trouble


def test_partial_feed_needs_an_option(information, write):
    run("sync_stations", information, system="bay")
    other = write("other.json", document([a_station("77")]))

    with pytest.raises(CommandError, match="--allow-shrink"):
        run("sync_stations", other, system="bay")
    assert "2 gone" in run("sync_stations", other, system="bay", allow_shrink=True)


def test_only_a_newer_feed_is_requested(web):
    sync([a_station("3")])
    web[STATUS_URL] = document([a_status("3")])
    run("poll_status", STATUS_URL)
    web[STATUS_URL] = None

    assert run("poll_status", STATUS_URL) == "bay: no newer feed.\n"

    assert web["asked"] == [(STATUS_URL, Validators()), (STATUS_URL, Validators('"v2"', ""))]


def test_unchanged_feed_ends_the_trouble(web):
    sync([a_station("3")])
    web[STATUS_URL] = document([a_status("3")])
    run("poll_status", STATUS_URL)
    StationFeed.objects.filter(kind="status").update(trouble="Down.", read_at=None)
    web[STATUS_URL] = None

    run("poll_status", STATUS_URL)

    feed = StationFeed.objects.get(kind="status")
    assert feed.trouble == ""
    assert feed.read_at is not None


def test_refused_feed_is_requested_again(web):
    """Its validators are not stored: with them, the server would never send the feed again."""
    sync([a_station(str(n)) for n in (1, 2, 3)])
    web[STATUS_URL] = document([a_status("3")])

    for _ in range(2):
        with pytest.raises(CommandError, match="partial"):
            run("poll_status", STATUS_URL)

    assert [validators for _, validators in web["asked"]] == [Validators()] * 2


@pytest.mark.parametrize("seconds", ["0", "-1", "100000", "nan"])
def test_polling_interval_out_of_range_is_one_line(status, seconds):
    with pytest.raises(CommandError, match="--every takes 1 to 86400 seconds"):
        run("poll_status", status, "--every", seconds)


def test_polls_become_rarer_after_failures_down_to_a_limit():
    delay = poll_status.Command().delay
    for failures, seconds in ((0, 60), (1, 120), (3, 480), (9, 600), (9999, 600)):
        assert 0.9 * seconds <= delay(60, failures) <= 1.1 * seconds
    assert delay(3600, 5) <= 1.1 * 3600


@pytest.mark.parametrize(("asked", "pause"), [(3600, 3600), (10**9, 86_400)])
def test_polling_waits_as_long_as_the_server_asks(status, monkeypatch, asked, pause):
    waits = []

    def enter_feed(*args):
        if waits:
            return feeds.Entered("bay", None, None)
        raise sources.BadFeed("Too many.", retry_after=asked)

    def sleep(seconds, is_over):
        waits.append(seconds)
        if len(waits) == 2:
            raise SystemExit

    monkeypatch.setattr(poll_status, "enter_feed", enter_feed)
    monkeypatch.setattr(periodic.connection, "close", lambda: None)
    monkeypatch.setattr(periodic, "interruptible_sleep", sleep)
    with pytest.raises(SystemExit):
        call_command("poll_status", status, "--every", "60", stdout=io.StringIO())

    assert pause <= waits[0] <= 1.3 * pause
    assert waits[1] <= 66


def test_polling_goes_on_after_failures(status, monkeypatch):
    """Each failure is one line. After a success the polls are as frequent as before."""
    waits = []
    failures = [sources.BadFeed("Down."), OperationalError("gone\naway"), None, None]

    def enter_feed(*args):
        if failure := failures.pop(0):
            raise failure
        return feeds.Entered("bay", None, None)

    def sleep(seconds, is_over):
        waits.append(seconds)
        if not failures:
            raise SystemExit

    monkeypatch.setattr(poll_status, "enter_feed", enter_feed)
    monkeypatch.setattr(periodic.connection, "close", lambda: None)
    monkeypatch.setattr(periodic, "interruptible_sleep", sleep)
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(SystemExit):
        call_command("poll_status", status, "--every", "100", stdout=out, stderr=err)

    assert err.getvalue() == "Down.\nThe database is not available: gone away\n"
    assert out.getvalue() == "bay: no newer feed.\n" * 2
    assert [round(wait / 100) for wait in waits] == [2, 4, 1, 1]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_polling_ends_at_a_signal(information, status, number):
    run("sync_stations", information, system="bay")
    with running_command("poll_status", status, "--every", "60") as process:
        assert "2 stations, 1 empty" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert StationStatus.objects.count() == 2


def exported(*arguments):
    output = run("export_stations", *arguments)
    assert output.startswith("\ufeff"), "Excel would not read it as UTF-8."
    return list(csv.DictReader(io.StringIO(output.removeprefix("\ufeff"))))


def test_export_maps_numbers_to_feed_ids():
    sync([a_station("3", external_id="uuid-3"), a_station("uuid-9"), a_station("8")])
    renamed = a_station("3", external_id="uuid-3", short_name="SF-A3")
    sync([renamed, a_station("uuid-9", capacity=None)])

    third, eighth, own = exported()

    assert third == {
        "number": "3",
        "system": "bay",
        "feed_ids": "3;uuid-3",
        "name": "Market St at 3",
        "lat": "37.703",
        "lon": "-122.4",
        "capacity": "20",
        "gone_at": "",
        "short_name": "SF-A3",
    }
    assert (own["number"], own["feed_ids"], own["capacity"]) == ("1000000", "uuid-9", "")
    assert eighth["gone_at"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\uff1d1+1", "\uff0b1", "\uff20x"])
def test_formulas_are_exported_as_text(name):
    sync([a_station("3", name=name)])

    assert exported()[0]["name"] == f"'{name}"


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_no_exported_cell_is_a_formula_in_any_separator(separator):
    ids = ["3", "=1+1", "x;=2", "-3", "\uff1dx"]
    sync([a_station(ids[0], external_id=ids[1], name="Main;@x;\uff0b1", short_name="+1;-1;1=1")])
    StationAlias.objects.bulk_create(
        StationAlias(system="bay", feed_id=each, station_id=3) for each in ids[2:]
    )

    rows = csv.reader(io.StringIO(run("export_stations")[1:], newline=""), delimiter=separator)

    starts = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
    suspicious = [cell for row in rows for cell in row if cell.startswith(starts)]
    assert [cell for cell in suspicious if not is_number(cell)] == []


def is_number(text):
    # Semicolons leave whole lines in one cell, and the line of a negative longitude in several.
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_negative_numbers_are_exported_as_numbers():
    sync([a_station("3", lat=-33.5)])

    assert (exported()[0]["lat"], exported()[0]["lon"]) == ("-33.5", "-122.4")


def test_export_replaces_the_file_as_a_whole(tmp_path):
    sync([a_station("3")])
    out = tmp_path / "stations.csv"
    out.write_text("old")

    assert run("export_stations", "--out", str(out)) == ""

    assert out.read_text().startswith(
        "\ufeffnumber,system,feed_ids,name,lat,lon,capacity,gone_at,short_name\n3,"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["stations.csv"]
    with pytest.raises(CommandError, match="No such file"):
        run("export_stations", "--out", str(tmp_path / "none" / "x.csv"))


@pytest.mark.parametrize("error", [OSError(28, "No space left"), OperationalError("gone")])
def test_failed_export_leaves_only_the_old_file(tmp_path, monkeypatch, error):
    def write(file):
        file.write("number")
        raise error

    monkeypatch.setattr(export_stations, "write", write)
    out = tmp_path / "stations.csv"
    out.write_text("old")

    with pytest.raises(CommandError, match=r"No space left|The database is not available: gone"):
        run("export_stations", "--out", str(out))

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"stations.csv": "old"}


@pytest.mark.parametrize("command", ["sync_stations", "poll_status", "export_stations"])
def test_unavailable_database_is_reported_in_one_line(information, command):
    def away(*args):
        raise OperationalError("connection refused\n\tIs the server running?")

    sources = [] if command == "export_stations" else [information]
    with (
        connection.execute_wrapper(away),
        pytest.raises(
            CommandError,
            match=r"^The database is not available: connection refused Is the server running\?$",
        ),
    ):
        run(command, *sources)


def test_command_refuses_a_poll_older_than_the_recorded_one(status):
    sync([a_station("3"), a_station("uuid-1")])
    record([a_status("3"), a_status("uuid-1")], minutes=10)

    with pytest.raises(CommandError, match="The feed is old"):
        run("poll_status", status)
