"""Reading feeds in the forms that real systems use. No database."""

import json
from datetime import UTC, datetime

import pytest

from dispatch.gbfs import BadFeed, Document, FeedName, read_document, read_information, read_status

from ..support.factories import MORNING
from ..support.feeds import a_station, a_status, document


def information(*stations, **extra):
    return read_information(read_document(document(stations, **extra)))


def status(*stations):
    return read_status(read_document(document(stations)))


def why_bad(*rows):
    """Return the report of the first row in a feed with other, good rows."""
    found = information(*rows, a_station("8"), a_station("9"))
    return str(found.bad[0])


def test_id_may_be_text_or_number():
    found = information(a_station("3"), a_station(4), a_station("b7c5"))

    assert [row.names for row in found.rows] == [("3",), ("4",), ("b7c5",)]
    assert [row.integers for row in found.rows] == [(3,), (4,), ()]


@pytest.mark.parametrize("text", ["0", "007", "+7", "-7", "7.0", "\u0667", "2147483648", "1" * 19])
def test_only_plain_integers_in_range_can_be_the_number(text):
    (row,) = information(a_station(text, lat=1, lon=1)).rows

    assert row.integers == ()


def test_legacy_and_external_ids_are_names_too():
    (row,) = information(a_station("uuid-1", legacy_id="566", external_id="old-1")).rows

    assert row.names == ("uuid-1", "old-1", "566")
    assert row.integers == (566,)


def test_external_id_equal_to_the_id_is_not_a_second_name():
    (row,) = information(a_station("uuid-1", external_id="uuid-1")).rows

    assert row.names == ("uuid-1",)


@pytest.mark.parametrize(("given", "kept"), [("3", "3"), (3, "3"), (None, ""), (3.5, "")])
def test_region_may_be_text_a_number_or_absent(given, kept):
    (row,) = information(a_station("1", region_id=given)).rows

    assert row.region == kept


@pytest.mark.parametrize("given", [0, None, -1, "many", True, 999, "9999"])
def test_meaningless_capacity_is_unknown(given):
    (row,) = information(a_station("1", capacity=given)).rows

    assert row.capacity is None


def test_name_in_several_languages_is_the_english_one():
    names = [{"text": "Marché", "language": "fr"}, {"text": "Market", "language": "en-US"}]

    (row,) = information(a_station("1", name=names)).rows
    (french,) = information(a_station("1", name=names[:1])).rows

    assert (row.name, french.name) == ("Market", "Marché")


def test_name_is_one_printable_line_of_bounded_length():
    hostile = "A\x00B\n\x1b[31mC\ud800 \u202e" + "x" * 2000

    (row,) = information(a_station("1", name=hostile)).rows

    assert row.name.startswith("A B [31mC x")
    assert row.name.isprintable()
    assert len(row.name) == 200


@pytest.mark.parametrize("name", [None, "", " \n", 7, [], [{"text": 5}], {}])
def test_station_without_a_name_is_called_by_its_id(name):
    (row,) = information(a_station("77", name=name)).rows

    assert row.name == "77"


BAD_ROWS = {
    "not_an_object": (7, "a row without an id: no station_id"),
    "no_id": (a_station(None), "a row without an id: no station_id"),
    "true_as_id": (a_station(True), "a row without an id: no station_id"),
    "control_character_in_the_id": (a_station("a\x00b"), "a row without an id: no station_id"),
    "long_id": (a_station("x" * 201), "a row without an id: no station_id"),
    "nan": (a_station("1", lat=float("nan")), "1: no valid position"),
    "infinite": (a_station("1", lon=float("inf")), "1: no valid position"),
    "off_the_earth": (a_station("1", lat=91), "1: no valid position"),
    "no_position": (a_station("1", lat=None), "1: no valid position"),
    "huge": (a_station("1", lat=10**400), "1: no valid position"),
}


@pytest.mark.parametrize(("row", "why"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_row_is_reported_and_the_rest_is_read(row, why):
    assert why_bad(row) == why


def test_identical_repeats_of_a_station_are_not_remarked():
    found = information(*[a_station("1"), a_station("2")] * 3)

    assert [row.names for row in found.rows] == [("1",), ("2",)]
    assert found.remarks() == ""


def test_first_of_differing_rows_of_a_station_counts():
    found = information(a_station("1", name="First"), a_station("1", name="Second"))

    assert [row.name for row in found.rows] == ["First"]
    assert found.remarks() == "1 listed again with other values."


@pytest.mark.parametrize("order", [1, -1])
def test_newest_of_differing_statuses_of_a_station_counts(order):
    now = int(MORNING.timestamp())
    rows = [a_status("1", 3, last_reported=now), a_status("1", 4, last_reported=now - 60)]

    found = status(*rows[::order], a_status("2"))

    assert [row.bikes for row in found.rows] == [3, 5]
    assert found.remarks() == "1 listed again with other values."


def test_negative_counts_are_none_and_remarked_once():
    found = status(
        a_status("1", 25, -6), a_status("2", 20, "-1"), a_status("3", -2, 9), a_status("4")
    )

    assert [(row.bikes, row.docks) for row in found.rows] == [(25, 0), (20, 0), (0, 9), (5, 15)]
    assert found.bad == []
    assert found.remarks() == (
        "1 with negative bikes, read as none. 2 with negative docks, read as full."
    )


def test_feed_with_mostly_negative_bikes_is_refused():
    with pytest.raises(BadFeed, match="Most of its stations have a negative number of bikes"):
        status(a_status("1", -1), a_status("2", -1), a_status("3"))


@pytest.mark.parametrize("docks", [999, 9999, "99999"])
def test_sentinel_for_unlimited_docks_is_unknown(docks):
    found = status(a_status("1", 5, docks), a_status("2"))

    assert [row.docks for row in found.rows] == [None, 15]
    assert found.remarks() == "1 with unlimited docks, read as unknown."


def test_bad_rows_are_counted_and_the_first_few_named():
    bad = [a_station(str(n), lat=None) for n in range(7)]

    found = information(*bad, *(a_station(str(n)) for n in range(10, 20)))

    assert found.about_bad_rows().startswith("7 bad rows: 0: no valid position; 1:")
    assert found.about_bad_rows().endswith("; 2 more.")


def test_feed_of_mostly_bad_rows_is_refused():
    with pytest.raises(BadFeed, match=r"Most of its rows are unreadable\. 2 bad rows"):
        information(a_station("1", lat=None), a_station("2", lat=None), a_station("3"))


def test_empty_feed_is_refused():
    with pytest.raises(BadFeed, match="It has no stations"):
        information()


@pytest.mark.parametrize("row", [b"{}", b"[]", b"0"])
def test_document_of_too_many_values_is_refused_unparsed(row):
    content = b'{"data": {"stations": [' + b",".join([row] * 2_000_002) + b"]}}"

    with pytest.raises(BadFeed, match=r"^It has more than 2,000,000 values\.$"):
        read_document(content)


@pytest.mark.parametrize("name", [FeedName.INFORMATION, FeedName.STATUS])
def test_empty_list_of_stations_may_be_either_feed(name):
    assert read_document(b'{"data": {"stations": []}}').is_feed(name)


def test_feed_of_too_many_rows_is_refused_unread():
    with pytest.raises(BadFeed, match=r"^It has 20,001 rows, more than 20,000\.$"):
        read_information(Document(FeedName.INFORMATION, None, {"stations": [{}] * 20_001}))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"\xff\xfe\xfd", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"[]", b"{}"],
)
def test_other_documents_are_refused_in_one_line(content):
    with pytest.raises(BadFeed, match=r"^It is not"):
        read_document(content)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (1430726400, MORNING),
        ("1430726400", MORNING),
        (1430726400000, MORNING),
        ("1430726400000", MORNING),
        (1430726400000.0, MORNING),
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
def test_time_is_seconds_milliseconds_rfc_3339_or_none(given, moment):
    content = json.dumps({"last_updated": given, "data": {"stations": []}}).encode()

    assert read_document(content).made_at == moment
    (row,) = status(a_status("1", last_reported=given)).rows
    assert row.reported_at == moment


def test_bike_counts_are_read_under_the_names_of_every_version():
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
def test_station_is_in_service_unless_a_flag_is_false(key, given, in_service):
    (row,) = status(a_status("1", **{key: given})).rows

    assert row.in_service == in_service


def test_missing_flags_are_true_and_missing_docks_unknown():
    (row,) = status({"station_id": "1", "num_bikes_available": 2}).rows

    assert (row.in_service, row.docks, row.docks_disabled) == (True, None, 0)
    assert row.reported_at is None


@pytest.mark.parametrize("bikes", [None, -100_001, 100_001, 2**31, "x", 1.5, True])
def test_status_without_a_valid_number_of_bikes_is_a_bad_row(bikes):
    found = status(a_status("1", bikes), a_status("2"), a_status("3"))

    assert [str(row) for row in found.bad] == ["1: no valid number of bikes"]


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
def test_kind_of_feed_is_judged_by_its_content(data, name):
    assert read_document(json.dumps({"data": data}).encode()).name == name


def test_english_feeds_come_first():
    data = {
        language: {
            "feeds": [{"name": "station_status", "url": f"https://feeds.example/{language}"}]
        }
        for language in ("fr", "en")
    }

    found = read_document(json.dumps({"data": data}).encode())

    assert found.address_of(FeedName.STATUS) == "https://feeds.example/en"
    assert found.address_of(FeedName.SYSTEM) is None


def test_time_of_a_feed_is_utc():
    content = b'{"last_updated": "2015-05-04T10:00:00+02:00", "data": {"stations": []}}'

    assert read_document(content).made_at == datetime(2015, 5, 4, 8, tzinfo=UTC)
