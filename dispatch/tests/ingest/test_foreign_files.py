"""Files as pandas, polars, spreadsheets and other tools write them."""

import gzip
import io
import json
import zipfile

import pytest
from django.core.management import CommandError, call_command

from dispatch.models import Station, Suggestion

from ..support.feeds import a_station, sync

pytestmark = pytest.mark.django_db

CSV = "from_station_id,to_station_id,qty,reason\n1,2,5,Full\n"
JSON_LINE = '{"from_station_id": 1, "to_station_id": 2, "qty": 5, "reason": "Full"}\n'


@pytest.fixture
def ingest(tmp_path):
    def run(content, *options, name="moves.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        output = io.StringIO()
        call_command("ingest_suggestions", str(path), *options, stdout=output)
        return output.getvalue()

    return run


def workbook(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return content.getvalue()


HEADER = "from_station_id,to_station_id,qty,reason,priority,expires_at"
READABLE = {
    "pandas to_csv": f",{HEADER}\n0,1.0,2.0,5.0,Full,,\n",
    "pandas to_csv, read and written again": f"Unnamed: 0,{HEADER}\n0,1,2,5,Full,,\n",
    "pandas to_csv of times": f",{HEADER}\n0,1,2,5,Full,0.0,2035-05-04 08:00:00+00:00\n",
    "pandas to_csv of nanoseconds": f"{HEADER}\n1,2,5,Full,,2035-05-04 08:00:00.123456789+00:00\n",
    "pandas to_json lines": '{"from_station_id":1.0,"to_station_id":2,"qty":5.0,"reason":"Full",'
    '"priority":null,"expires_at":"2035-05-04T08:00:00.000Z"}\n',
    "polars write_csv": f"{HEADER}\n1,2,5,Full,,2035-05-04T08:00:00.000000+0000\n",
    "polars write_ndjson": '{"from_station_id":1,"to_station_id":2,"qty":5.0,"reason":"Full",'
    '"priority":null,"expires_at":null}\n',
    "64-bit numbers as text": '{"from_station_id":"1","to_station_id":"2","qty":"5",'
    '"reason":"Full","priority":"","expires_at":""}\n',
    "R write.csv": f'"","{HEADER.replace(",", chr(34) + "," + chr(34))}"\n"1",1,2,5,"Full",0,""\n',
    "Excel, English": f"\ufeff{HEADER}\r\n1,2,5,Full,,\r\n",
    "Excel, German": f"\ufeff{HEADER.replace(',', ';')}\r\n1;2;5,0;Full;;\r\n;;;;;\r\n",
    "Excel, text with tabs": f"{HEADER}\r\n1,2,5,Full,,\r\n".replace(",", "\t"),
    "Excel, with its separator": f"sep=;\r\n{HEADER.replace(',', ';')}\r\n1;2;5;Full;;\r\n",
    "no line end": CSV.rstrip("\n"),
    "BOM and blank lines": f"\ufeff\n\n{CSV}\n",
    "leading blank lines": f"\n \n{CSV}",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moves", "moves.txt", "moves.json", "moves.csv"])
@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_a_file_of_a_common_tool_is_read_whatever_its_name(ingest, content, name):
    output = ingest(content, name=name)

    assert output.startswith("1 inserted")
    suggestion = Suggestion.objects.get()
    assert (suggestion.from_station_id, suggestion.to_station_id, suggestion.qty) == (1, 2, 5)
    assert (suggestion.reason, suggestion.priority) == ("Full", 0)


UNREADABLE = {
    "UTF-16": (CSV.encode("utf-16"), "UTF-16 text: save it as UTF-8"),
    "UTF-16, big end first": (b"\xfe\xff" + CSV.encode("utf-16-be"), "UTF-16 text"),
    "UTF-16 without a mark": (CSV.encode("utf-16-le"), "UTF-16 or binary data"),
    "UTF-32": (CSV.encode("utf-32"), "UTF-32 text"),
    "JSON array": (f"[{JSON_LINE}]", "a JSON array: write one object a line"),
    "indented JSON array": (f"\ufeff\n  [\n{JSON_LINE}]", "a JSON array: write one object a line"),
    "gzip": (gzip.compress(CSV.encode()), "compressed with gzip: decompress it first"),
    "zip": (workbook("moves.csv"), "a ZIP archive: unpack it first"),
    "xlsx": (workbook("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook: save it as"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an Excel workbook: save it as"),
    "Parquet": (b"PAR1\x15\x04\x15\x10PAR1", "a Parquet file: write JSON Lines or CSV instead"),
    "Arrow": (b"ARROW1\0\0", "an Arrow file: write"),
    "pickle": (b"\x80\x04\x95\x10\0", "a Python pickle: write"),
    "SQLite": (b"SQLite format 3\0", "an SQLite database: write"),
    "error page": (" <!DOCTYPE html><html>", "HTML or XML, perhaps an error page: write"),
    "old Macintosh": (CSV.replace("\n", "\r"), "text whose lines end with CR alone: save it"),
}


@pytest.mark.parametrize("name", ["moves.csv", "moves.jsonl", "moves.csv.gz"])
@pytest.mark.parametrize(("content", "kind"), UNREADABLE.values(), ids=UNREADABLE)
def test_refusal_names_the_kind_of_an_unreadable_file(ingest, content, kind, name):
    for options in ([], ["--format", "csv"], ["--format", "jsonl"]):
        with pytest.raises(CommandError) as refused:
            ingest(content, *options, name=name)

        message = str(refused.value)
        assert f"{name} is {kind}" in message
        assert message.endswith(".")
        assert "\n" not in message
    assert not Suggestion.objects.exists()


@pytest.mark.parametrize("content", [CSV, JSON_LINE], ids=["csv", "jsonl"])
def test_latin_1_is_named_as_no_utf_8(ingest, content):
    with pytest.raises(CommandError) as refused:
        ingest(content.replace("Full", "Zürich").encode("latin-1"))

    assert "not valid UTF-8: save the file as UTF-8" in str(refused.value)


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n", CSV.partition("\n")[0]])
def test_a_file_without_rows_is_reported_as_such(ingest, content):
    assert ingest(content).startswith("The input has no rows. 0 inserted, ")


@pytest.mark.parametrize("content", [CSV, JSON_LINE], ids=["csv", "jsonl"])
def test_all_invalid_fields_of_a_row_are_named(ingest, content):
    bad = content.replace("5", "2.7").replace("Full", "").replace('": 1,', '": -1,')
    bad = bad.replace("\n1,", "\n-1,")

    with pytest.raises(CommandError) as refused:
        ingest(bad)

    assert str(refused.value).splitlines()[1].partition(": ")[2] == (
        "from_station_id: Expected `int` >= 0; qty: not a whole number: 2.7; reason: missing"
    )


def test_the_list_of_a_rows_invalid_fields_is_limited(ingest):
    fields = {f"column {number}": 1 for number in range(500)}

    with pytest.raises(CommandError) as refused:
        ingest(json.dumps(fields), "--format", "jsonl")

    message = str(refused.value).splitlines()[1]
    assert message.startswith("line 1: from_station_id: missing; ")
    assert message.endswith("; and 496 more")


def test_expired_moves_and_unknown_stations_are_counted_not_refused(ingest):
    sync([a_station("1")])
    moves = (
        JSON_LINE.replace("}", ', "expires_at": "2015-05-04T08:00:00Z"}')
        + JSON_LINE.replace(": 2", ": 3")
        + JSON_LINE.replace(": 2", ": 4").replace("}", ', "expires_at": "2035-05-04T08:00:00Z"}')
    )

    for options in (["--dry-run"], []):
        assert ingest(moves, *options).endswith(
            " Already expired: 1. Stations that no feed has listed: 3 (2, 3, 4).\n"
        )
    counts = json.loads(ingest(moves, "--json"))
    assert (counts["ok"], counts["expired"], counts["unknown_stations"]) == (True, 1, 3)
    assert Suggestion.objects.count() == 3


def test_stations_are_not_unknown_where_no_feed_was_read(ingest):
    assert ingest(CSV).endswith("0 rejected.\n")


@pytest.fixture
def named_stations():
    sync([a_station(str(number)) for number in (1, 2, 3, 4, 5)])
    for number, name in ((1, "SF-A28"), (2, "0042"), (3, "77"), (4, "twice"), (5, "twice")):
        Station.objects.filter(pk=number).update(short_name=name)


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [('"SF-A28"', '"0042"', (1, 2)), ("77", '"SF-A28"', (3, 1)), ('"0042"', '"77.0"', (2, 3))],
)
def test_stations_may_be_called_by_their_short_names(ingest, named_stations, start, end, numbers):
    row = JSON_LINE.replace(": 1,", f": {start},").replace(": 2,", f": {end},")

    ingest(row, "--stations-by", "short_name")

    assert Suggestion.objects.values_list("from_station_id", "to_station_id").get() == numbers


def test_short_names_are_read_from_csv(ingest, named_stations):
    ingest(CSV.replace("\n1,2,", "\nSF-A28,0042,"), "--stations-by", "short_name")
    assert Suggestion.objects.get().to_station_id == 2


def test_unknown_and_ambiguous_short_names_are_named(ingest, named_stations):
    row = JSON_LINE.replace(": 1,", ': "SF-Z9",').replace(": 2,", ': "twice",')

    with pytest.raises(CommandError) as refused:
        ingest(row, "--stations-by", "short_name")

    assert str(refused.value).splitlines()[1] == (
        "line 1: from_station_id: no station has this short name: SF-Z9;"
        " to_station_id: 2 stations have this short name: twice"
    )
