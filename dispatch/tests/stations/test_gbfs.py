"""Feeds in the shapes that real systems give them. No database."""

import json
from datetime import UTC, datetime

import pytest

from dispatch.gbfs import BadFeed, FeedName, read_document, read_information, read_status

from ..support.factories import MORNING
from ..support.feeds import a_station, a_status, document


def information(*stations, **extra):
    return read_information(read_document(document(stations, **extra)))


def status(*stations):
    return read_status(read_document(document(stations)))


def why_bad(*rows):
    """What is said of the first row, with good ones beside it."""
    found = information(*rows, a_station("8"), a_station("9"))
    return str(found.bad[0])


def test_an_id_may_be_a_text_or_a_number():
    found = information(a_station("3"), a_station(4), a_station("b7c5"))

    assert [row.names for row in found.rows] == [("3",), ("4",), ("b7c5",)]
    assert [row.integers for row in found.rows] == [(3,), (4,), ()]


@pytest.mark.parametrize("text", ["0", "007", "+7", "-7", "7.0", "\u0667", "2147483648", "1" * 19])
def test_only_an_integer_as_it_is_written_and_stored_may_be_the_number(text):
    (row,) = information(a_station(text, lat=1, lon=1)).rows

    assert row.integers == ()


def test_a_legacy_id_and_an_external_id_are_names_too():
    (row,) = information(a_station("uuid-1", legacy_id="566", external_id="old-1")).rows

    assert row.names == ("uuid-1", "old-1", "566")
    assert row.integers == (566,)


def test_an_external_id_that_only_repeats_the_id_is_no_second_name():
    (row,) = information(a_station("uuid-1", external_id="uuid-1")).rows

    assert row.names == ("uuid-1",)


@pytest.mark.parametrize(("given", "kept"), [("3", "3"), (3, "3"), (None, ""), (3.5, "")])
def test_a_region_is_a_text_a_number_or_absent(given, kept):
    (row,) = information(a_station("1", region_id=given)).rows

    assert row.region == kept


@pytest.mark.parametrize("given", [0, None, -1, "many", True])
def test_a_capacity_that_says_nothing_is_not_known(given):
    (row,) = information(a_station("1", capacity=given)).rows

    assert row.capacity is None


def test_a_name_in_several_languages_is_the_english_one():
    names = [{"text": "Marché", "language": "fr"}, {"text": "Market", "language": "en-US"}]

    (row,) = information(a_station("1", name=names)).rows
    (french,) = information(a_station("1", name=names[:1])).rows

    assert (row.name, french.name) == ("Market", "Marché")


def test_a_name_is_one_printable_line_of_bounded_length():
    told = "A\x00B\n\x1b[31mC\ud800 \u202e" + "x" * 2000

    (row,) = information(a_station("1", name=told)).rows

    assert row.name.startswith("A B [31mC x")
    assert row.name.isprintable()
    assert len(row.name) == 200


@pytest.mark.parametrize("name", [None, "", " \n", 7, [], [{"text": 5}], {}])
def test_a_station_without_a_name_is_called_by_its_id(name):
    (row,) = information(a_station("77", name=name)).rows

    assert row.name == "77"


BAD_ROWS = {
    "not_an_object": (7, "a row without an id: no station_id"),
    "no_id": (a_station(None), "a row without an id: no station_id"),
    "true_as_id": (a_station(True), "a row without an id: no station_id"),
    "control_character_in_the_id": (a_station("a\x00b"), "a row without an id: no station_id"),
    "long_id": (a_station("x" * 201), "a row without an id: no station_id"),
    "nan": (a_station("1", lat=float("nan")), "1: no position on earth"),
    "infinite": (a_station("1", lon=float("inf")), "1: no position on earth"),
    "off_the_earth": (a_station("1", lat=91), "1: no position on earth"),
    "no_position": (a_station("1", lat=None), "1: no position on earth"),
    "huge": (a_station("1", lat=10**400), "1: no position on earth"),
}


@pytest.mark.parametrize(("row", "why"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named_and_does_not_lose_the_feed(row, why):
    assert why_bad(row) == why


def test_of_a_station_given_twice_the_first_counts():
    found = information(a_station("1", name="First"), a_station("1", name="Second"))

    assert [row.name for row in found.rows] == ["First"]
    assert found.about_bad_rows() == "1 bad rows: 1: given more than once."


def test_many_bad_rows_are_counted_and_the_first_few_named():
    bad = [a_station(str(n), lat=None) for n in range(7)]

    found = information(*bad, *(a_station(str(n)) for n in range(10, 20)))

    assert found.about_bad_rows().startswith("7 bad rows: 0: no position on earth; 1:")
    assert found.about_bad_rows().endswith("; and 2 more.")


def test_a_feed_of_mostly_bad_rows_is_refused():
    with pytest.raises(BadFeed, match=r"Most of its rows cannot be read\. 2 bad rows"):
        information(a_station("1", lat=None), a_station("2", lat=None), a_station("3"))


def test_an_empty_feed_is_refused():
    with pytest.raises(BadFeed, match="It is empty"):
        information()


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"\xff\xfe\xfd", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"[]", b"{}"],
)
def test_what_is_no_feed_is_refused_in_a_line(content):
    with pytest.raises(BadFeed, match=r"^It is not"):
        read_document(content)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (1430726400, MORNING),
        ("1430726400", MORNING),
        ("2015-05-04T08:00:00Z", MORNING),
        ("2015-05-04T10:00:00+02:00", MORNING),
        ("2015-05-04T08:00:00", None),
        (86400, None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (1e300, None),
        (10**400, None),
        ("soon", None),
    ],
)
def test_a_time_is_seconds_or_rfc_3339_or_none(given, moment):
    content = json.dumps({"last_updated": given, "data": {"stations": []}}).encode()

    assert read_document(content).made_at == moment
    (row,) = status(a_status("1", last_reported=given)).rows
    assert row.reported_at == moment


def test_numbers_of_bikes_come_under_the_names_of_any_version():
    old = a_status("1", 3, 9, num_bikes_disabled=1, num_docks_disabled=2)
    new = {**a_status("2"), "num_vehicles_available": 3, "num_vehicles_disabled": 1}
    del new["num_bikes_available"]

    first, second = status(old, new).rows

    assert (first.bikes, first.docks, first.bikes_disabled, first.docks_disabled) == (3, 9, 1, 2)
    assert (second.bikes, second.bikes_disabled) == (3, 1)


@pytest.mark.parametrize(
    ("given", "in_service"),
    [(1, True), (True, True), ("true", True), (0, False), (False, False), ("0", False)],
)
@pytest.mark.parametrize("key", ["is_installed", "is_renting", "is_returning"])
def test_a_station_is_in_service_if_nothing_says_otherwise(key, given, in_service):
    (row,) = status(a_status("1", **{key: given})).rows

    assert row.in_service == in_service


def test_what_is_not_said_holds():
    (row,) = status({"station_id": "1", "num_bikes_available": 2}).rows

    assert (row.in_service, row.docks, row.docks_disabled) == (True, None, 0)
    assert row.reported_at is None


@pytest.mark.parametrize("bikes", [None, -1, 100_001, 2**31, "x", 1.5, True])
def test_a_status_without_a_number_of_bikes_is_a_bad_row(bikes):
    found = status(a_status("1", bikes), a_status("2"), a_status("3"))

    assert [str(row) for row in found.bad] == ["1: no number of bikes"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"stations": [a_status("1")]}, FeedName.STATUS),
        ({"stations": [a_station("1")]}, FeedName.INFORMATION),
        ({"system_id": "bay"}, FeedName.SYSTEM),
        ({"feeds": [{"name": "station_status", "url": "u"}]}, FeedName.DISCOVERY),
        ({"fr": {"feeds": [{"name": "station_status", "url": "u"}]}}, FeedName.DISCOVERY),
        ({"bikes": []}, None),
    ],
)
def test_a_feed_is_known_by_what_is_in_it(data, name):
    assert read_document(json.dumps({"data": data}).encode()).name == name


def test_of_feeds_in_several_languages_the_english_ones_are_read():
    data = {
        language: {
            "feeds": [{"name": "station_status", "url": f"https://feeds.example/{language}"}]
        }
        for language in ("fr", "en")
    }

    found = read_document(json.dumps({"data": data}).encode())

    assert found.address_of(FeedName.STATUS) == "https://feeds.example/en"
    assert found.address_of(FeedName.SYSTEM) is None


def test_the_time_of_a_feed_is_utc():
    content = b'{"last_updated": "2015-05-04T10:00:00+02:00", "data": {"stations": []}}'

    assert read_document(content).made_at == datetime(2015, 5, 4, 8, tzinfo=UTC)
