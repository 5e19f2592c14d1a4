import io
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from dispatch.ingest import formats
from dispatch.ingest.formats import READERS
from dispatch.ingest.rows import RowMaker
from dispatch.management.commands import ingest_suggestions
from dispatch.models import Suggestion, TaskEvent

from ..support.concurrency import background, held_up, wait_until_blocked
from ..support.factories import SuggestionFactory
from ..support.server import database_url

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]
ROW = {"from_station_id": 1, "to_station_id": 2, "qty": 5, "reason": "Full"}
HEADER = "from_station_id,to_station_id,qty,reason\n"


def line(**fields):
    return json.dumps({**ROW, **fields}) + "\n"


@pytest.fixture
def write(tmp_path):
    def write_file(content, name="rows.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


@pytest.fixture
def stdin(monkeypatch):
    """Replaces sys.stdin with a pipe that holds the given content."""
    with ExitStack() as stack:

        def give(content, kind=io.BufferedReader):
            reader, writer = os.pipe()
            os.write(writer, content.encode())
            os.close(writer)
            pipe = kind(io.FileIO(reader))
            monkeypatch.setattr("sys.stdin", stack.enter_context(io.TextIOWrapper(pipe)))

        yield give


def run(path, *options):
    output = io.StringIO()
    call_command("ingest_suggestions", str(path), *options, stdout=output)
    return output.getvalue()


def refusal(path, *options):
    with pytest.raises(CommandError) as refused:
        run(path, *options)
    assert refused.value.returncode == 1
    assert not Suggestion.objects.filter(source="").exists()
    return str(refused.value)


def entered():
    return list(Suggestion.objects.order_by("id").values_list("to_station_id", "qty", "reason"))


def test_the_result_is_one_line(write):
    path = write(line() + line(to_station_id=3) + line(qty=6))

    assert run(path, "--source", "ml") == (
        "2 inserted, 0 refreshed, 0 removed, 1 repeated, 0 under way, 0 decided, 0 rejected.\n"
    )
    assert entered() == [(3, 5, "Full"), (2, 6, "Full")]
    event = TaskEvent.objects.get()
    assert (event.kind, event.actor) == ("ingested", "ingest_suggestions")
    assert (event.source, event.details["inserted"]) == ("ml", 2)


def test_json_prints_one_object(write):
    assert json.loads(run(write(line()), "--source", "ml", "--json")) == {
        "ok": True,
        "source": "ml",
        "dry_run": False,
        "inserted": 1,
        "refreshed": 0,
        "removed": 0,
        "repeated": 0,
        "under_way": 0,
        "decided": 0,
        "expired": 0,
        "unknown_stations": 0,
        "unknown_station_ids": [],
        "rejected": 0,
    }


def test_json_prints_one_object_on_failure_too(write):
    output = io.StringIO()
    with pytest.raises(CommandError):
        call_command("ingest_suggestions", str(write(line(qty=0))), "--json", stdout=output)
    assert json.loads(output.getvalue()) == {
        "ok": False,
        "error": "1 row is invalid; nothing was entered.",
        "bad_rows": 1,
        "errors": [{"line": 1, "error": "qty: Expected `int` >= 1"}],
    }


def test_one_invalid_row_refuses_the_whole_input(write):
    assert refusal(write(line() + line(to_station_id=3, qty=0))) == (
        "1 row is invalid; nothing was entered.\nline 2: qty: Expected `int` >= 1"
    )


def test_the_first_twenty_invalid_rows_are_shown_and_the_rest_counted(write):
    message = refusal(write(line(qty=0) * 1_025)).splitlines()

    assert message[0] == "1,025 rows are invalid; nothing was entered."
    assert message[1].startswith("line 1: ")
    assert message[20].startswith("line 20: ")
    assert message[21:] == ["... and 1,005 more"]


def test_skip_bad_enters_valid_rows_and_writes_the_others_to_rejects(write, tmp_path):
    bad = line(qty=0)
    rejects = tmp_path / "rejects.jsonl"

    message = run(write(bad + line() + "{\n"), "--skip-bad", "--rejects", str(rejects))

    assert (
        message
        == "1 inserted, 0 refreshed, 0 removed, 0 repeated, 0 under way, 0 decided, 2 rejected.\n"
    )
    assert [json.loads(row) for row in rejects.read_text().splitlines()] == [
        {"line": 1, "error": "qty: Expected `int` >= 1", "text": bad.rstrip("\n")},
        {
            "line": 3,
            "error": "not valid JSON: Expecting property name enclosed in double quotes"
            " at character 3",
            "text": "{",
        },
    ]


@pytest.mark.parametrize("more", [[], ["--source", "ml", "--replace", "--allow-empty"]])
def test_skip_bad_refuses_an_input_without_valid_rows(write, tmp_path, more):
    SuggestionFactory(source="ml")
    rejects = str(tmp_path / "rejects")

    message = refusal(write(line(qty=0)), "--skip-bad", "--rejects", rejects, *more)

    assert message.startswith("1 row is invalid")
    assert Suggestion.objects.count() == 1


@pytest.mark.parametrize(
    "options",
    [["--skip-bad"], ["--rejects", "x"], ["--replace"], ["--allow-empty", "--source", "ml"]],
)
def test_an_option_without_its_partner_is_refused(write, options):
    assert "need" in refusal(write(line()), *options)


def test_rejects_never_overwrite_the_input(write):
    path = write(line())

    assert "overwrite" in refusal(path, "--skip-bad", "--rejects", str(path))
    assert path.read_text() == line()


def test_a_full_disk_for_rejects_enters_nothing(write):
    message = refusal(write(line() + "{\n"), "--skip-bad", "--rejects", "/dev/full")
    assert message == "/dev/full: No space left on device."


def test_replacing_with_an_empty_input_needs_allow_empty(write):
    SuggestionFactory(source="ml")
    empty = write("\n  \n")

    assert "no rows" in refusal(empty, "--source", "ml", "--replace")
    assert Suggestion.objects.exists()
    assert "1 removed" in run(empty, "--source", "ml", "--replace", "--allow-empty")


def test_a_dry_run_changes_nothing(write):
    assert run(write(line()), "--dry-run") == (
        "Dry run, nothing was changed:"
        " 1 inserted, 0 refreshed, 0 removed, 0 repeated, 0 under way, 0 decided, 0 rejected.\n"
    )
    assert not Suggestion.objects.exists()


def test_standard_input_is_json_lines(stdin):
    stdin(line())
    assert "1 inserted" in run("-")


def test_standard_input_may_be_csv(stdin):
    stdin(HEADER + "1,2,5,Full\n")
    assert "1 inserted" in run("-", "--format", "csv")


@pytest.mark.django_db(transaction=True)
def test_a_slow_producer_holds_no_transaction_open(stdin):
    in_transaction = set()

    class Pipe(io.BufferedReader):
        def read(self, size=-1):
            in_transaction.add(connection.in_atomic_block)
            return super().read(size)

        def readline(self, size=-1):
            in_transaction.add(connection.in_atomic_block)
            return super().readline(size)

    stdin(line(), Pipe)
    assert run("-").startswith("1 inserted")
    assert in_transaction == {False}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("absent.jsonl", "No such file or directory"),
        (".csv", "unknown format"),
        ("rows.txt", "unknown format"),
        ("folder.jsonl", "Is a directory"),
        ("secret.jsonl", "Permission denied"),
    ],
)
def test_an_unreadable_file_is_reported_in_one_line(tmp_path, monkeypatch, name, complaint):
    (tmp_path / "folder.jsonl").mkdir()
    for unclear in (".csv", "rows.txt"):
        (tmp_path / unclear).touch()
    if name == "secret.jsonl":

        def deny(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        # Root may read every file.
        monkeypatch.setattr("dispatch.ingest.row_source.open", deny, raising=False)
    message = refusal(tmp_path / name)
    assert complaint in message
    assert name in message
    assert "\n" not in message


BAD_JSON = {
    "zero": (line(qty=0), "qty: Expected `int` >= 1"),
    "true": (line(qty=True), "qty: not a whole number: True"),
    "fraction": (line(qty=2.7), "qty: not a whole number: 2.7"),
    "inexact": (line(qty=1e16), "qty: not a whole number: 1e+16"),
    "word": (line(qty="five"), "qty: not a whole number: five"),
    "list": (line(qty=[5]), "qty: not a whole number"),
    "null": (line(qty=None), "qty: missing"),
    "int4": (line(qty=2**31), "qty: Expected `int` <= 2147483647"),
    "int8": (line(qty=2**64), "qty: Expected `int` <= 2147483647"),
    "gigantic": (line().replace("5", "9" * 5_000), "not valid JSON: a number with"),
    "infinite": (line().replace("5", "1e400"), "not valid JSON: a number out of range"),
    "nan": (line().replace("5", "NaN"), "not valid JSON: NaN"),
    "negative station": (line(from_station_id=-1), "from_station_id: Expected `int` >= 0"),
    "loop": (line(to_station_id=1), "from_station_id and to_station_id must differ"),
    "three faults": (
        line(to_station_id=1, qty=0, reason=" "),
        "qty: Expected `int` >= 1; reason: must not be empty;"
        " from_station_id and to_station_id must differ",
    ),
    "fault and year": (
        line(qty=0, expires_at="9999-12-31T23:59:59Z"),
        "qty: Expected `int` >= 1; expires_at: the year must be",
    ),
    "empty": (line(reason=""), "reason: missing"),
    "blank": (line(reason=" \t\u2003"), "reason: must not be empty"),
    "long": (line(reason="x" * 2001), "reason: Expected `str` of length <= 2000"),
    "nul": (line(reason="a\0"), "reason: cannot store a NUL or half a surrogate pair"),
    "surrogate": (line(reason="\ud800"), "reason: cannot store a NUL or half a surrogate pair"),
    "surrogate key": (line(**{"\ud800": 1}), "\\ud800: unknown field"),
    "priority": (line(priority=101), "priority: Expected `int` <= 100"),
    "no zone": (line(expires_at="2015-05-04T08:00:00"), "expires_at: not a time like"),
    "year 0": (line(expires_at="0000-05-04T08:00:00Z"), "expires_at: Invalid RFC3339"),
    "year 1": (line(expires_at="0001-01-01T00:00:00Z"), "expires_at: the year must be"),
    "year 9999": (line(expires_at="9999-12-31T23:59:59Z"), "expires_at: the year must be"),
    "year 10000": (line(expires_at="10000-05-04T08:00:00Z"), "expires_at: not a time like"),
    "timestamp": (line(expires_at=1_777_881_600), "expires_at: not a time like"),
    "missing": ('{"from_station_id": 1, "to_station_id": 2, "qty": 5}', "reason: missing"),
    "unknown": (line(quantity=5), "quantity: unknown field"),
    "escape codes": (line(**{"\x1b[2J\n": 5}), "\\x1b[2J\\n: unknown field"),
    "twice": ('{"qty": 5, ' + line()[1:], "not valid JSON: key 'qty' given twice"),
    "array": ("[1]", "not a JSON object"),
    "deep": ("[" * 60_000, "not valid JSON: nested too deeply"),
    "cut off": (line()[:-3], "not valid JSON: "),
    "two objects": (line().strip() * 2, "not valid JSON: Extra data at character"),
    "not UTF-8": (line().encode().replace(b"Full", b"F\xfcll"), "not valid UTF-8"),
    "UTF-16": (line().encode("utf-16"), "not valid UTF-8"),
    "huge": (line(reason="x" * 70_000), "longer than 65,536 bytes"),
}


@pytest.mark.parametrize(("bad", "complaint"), BAD_JSON.values(), ids=BAD_JSON)
def test_an_invalid_json_line_is_reported_with_its_field(write, bad, complaint):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    message = refusal(write(line().encode() + bad)).splitlines()
    assert message[1].startswith(f"line 2: {complaint}")
    assert len(message[1]) < 300


BAD_CSV = {
    "word": ("1,2,many,Full", "qty: not a whole number: many"),
    "fraction": ("1,2,2.7,Full", "qty: not a whole number: 2.7"),
    "thousand": ("1,2,1.000,Full", "qty: not a whole number: 1.000"),
    "space": ("1, 2,5,Full", "to_station_id: not a whole number:  2"),
    "arabic digits": ("1,2,\u0665,Full", "qty: not a whole number: \u0665"),
    "int8": ("1,2,99999999999999999999,Full", "qty: Expected `int` <= 2147483647"),
    "gigantic": (f"1,2,{'9' * 5_000},Full", "qty: not a whole number: 999"),
    "empty number": ("1,2,,Full", "qty: missing"),
    "empty reason": ("1,2,5,", "reason: missing"),
    "short": ("1,2,5", "3 fields where the header has 4"),
    "long": ("1,2,5,Full,", "5 fields where the header has 4"),
    "quotes": ('1,2,5,"Full" very', "',' expected after '\"'"),
    "no end": ('1,2,5,"Full', "unexpected end of data"),
    "nul": ("1,2,5,a\0b", "reason: cannot store a NUL"),
    "not UTF-8": (b"1,2,5,F\xfcll", "not valid UTF-8"),
    "surrogate": (b"1,2,5,\xed\xa0\x80", "not valid UTF-8"),
    "huge": (f"1,2,5,{'x' * 70_000}", "longer than 65,536 bytes"),
    "quoted for ever": ('1,2,5,"' + "\n" * 70_000, "longer than 65,536 bytes"),
}


@pytest.mark.parametrize(("bad", "complaint"), BAD_CSV.values(), ids=BAD_CSV)
def test_an_invalid_csv_record_is_reported_with_its_first_line(write, bad, complaint):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    message = refusal(write(f'{HEADER}1,2,5,"Full\nhouse"\n'.encode() + bad, "rows.csv"))
    assert message.splitlines()[1].startswith(f"line 4: {complaint}")


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("from_station_id,to_station_id,qty", "column reason is missing"),
        (HEADER.strip() + ",colour", "unknown column 'colour'; known are from_station_id"),
        (HEADER.strip() + ",qty", "column qty appears twice"),
        ('"from', "unexpected end of data"),
        ("1,2,5,Full", "unknown column '1'"),
    ],
)
def test_a_csv_with_an_invalid_header_is_refused(write, tmp_path, header, complaint):
    options = ["--skip-bad", "--rejects", str(tmp_path / "rejects")]
    assert refusal(write(header, "rows.csv"), *options).startswith(f"line 1: {complaint}")


def test_csv_accepts_any_column_order_quoted_newlines_and_empty_cells(write):
    path = write(
        b"\xef\xbb\xbfqty,reason,expires_at,priority,to_station_id,from_station_id\r\n"
        b'7,"Full, says\nMaria",2015-05-04T08:00:00Z,-5,2,1\r\n'
        b"\r\n"
        b"8,Empty,,,3,1",
        "rows.CSV",
    )

    assert run(path).startswith("2 inserted")
    assert entered() == [(2, 7, "Full, says\nMaria"), (3, 8, "Empty")]
    assert list(Suggestion.objects.order_by("id").values_list("priority", flat=True)) == [-5, 0]


def test_json_lines_accept_a_bom_blank_lines_and_no_last_newline(write):
    content = "\ufeff\n" + line() + "\r\n   \n" + line(to_station_id=3).strip()
    assert run(write(content)).startswith("2 inserted")


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_072, 131_073, 200_000])
@pytest.mark.parametrize("data_format", ["jsonl", "csv"])
def test_the_line_after_a_line_of_any_length_is_read(write, tmp_path, size, data_format):
    good = {"jsonl": line(), "csv": "1,2,5,Full\n"}[data_format]
    header = HEADER if data_format == "csv" else ""
    path = write(f"{header}{'x' * (size - 1)}\n{good}")
    options = ["--skip-bad", "--rejects", str(tmp_path / "rejects"), "--format", data_format]
    message = run(path, *options)
    assert message.startswith("1 inserted")
    assert message.endswith(" 1 rejected.\n")


def test_an_endless_line_is_read_in_pieces():
    class Endless(io.RawIOBase):
        asked = []
        left = 300

        def readline(self, size=-1):
            self.asked.append(size)
            self.left -= 1
            return b"x" * size if self.left > 0 else b""

    rows = list(formats.read_jsonl(Endless(), RowMaker()))
    assert [row.error for row in rows] == ["longer than 65,536 bytes"]
    assert set(Endless.asked) == {65_537}


def test_an_invalid_byte_in_quotes_does_not_start_a_new_row(write, tmp_path):
    path = write(HEADER.encode() + b'1,2,5,"F\xfcll\n3,4,5,Fake\n"\n5,6,5,Real\n', "rows.csv")
    run(path, "--skip-bad", "--rejects", str(tmp_path / "rejects"))
    assert entered() == [(6, 5, "Real")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_the_progress_of_long_work(write, monkeypatch):
    monkeypatch.setattr("dispatch.ingest.row_source.LINES_BETWEEN_REPORTS", 2)
    monkeypatch.setattr(ingest_suggestions, "QUIET_SECONDS", -1)
    path, terminal, log = write(line() * 5), Terminal(), io.StringIO()

    call_command("ingest_suggestions", str(path), stdout=io.StringIO(), stderr=terminal)
    call_command("ingest_suggestions", str(path), stdout=io.StringIO(), stderr=log)

    assert terminal.getvalue() == "\r0 rows read\r2 rows read\r4 rows read\n"
    assert log.getvalue() == ""


def test_a_terminal_shows_no_progress_of_short_work(write):
    terminal = Terminal()
    call_command("ingest_suggestions", str(write(line())), stdout=io.StringIO(), stderr=terminal)
    assert terminal.getvalue() == ""


@pytest.mark.django_db(transaction=True)
def test_a_signal_during_the_commit_reports_the_commit(write, monkeypatch):
    commit = connection.commit

    def commit_and_be_stopped():
        commit()
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(connection, "commit", commit_and_be_stopped)
    assert run(write(line())).startswith("1 inserted")


# In a process of its own, as under a scheduler.


def start_process(*arguments, **streams):
    return subprocess.Popen(
        [sys.executable, "manage.py", "ingest_suggestions", *map(str, arguments)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "SECRET_KEY": "a-key-of-the-tests-only-" + "0123456789" * 4,
            "ALLOWED_HOSTS": "localhost",
        },
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
    )


class Waiting:
    """Lets `wait_until_blocked` watch a process."""

    def __init__(self, process):
        self.process = process

    def done(self):
        return self.process.poll() is not None

    def exception(self):
        return self.process.stderr.read()


def hold_events():
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task_events IN EXCLUSIVE MODE")


def wait_until_alone():
    """Wait until the backend of the killed process has ended."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '20s'")
        cursor.execute("LOCK TABLE suggestions IN ACCESS EXCLUSIVE MODE")
        cursor.execute("RESET statement_timeout")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        (signal.SIGKILL, -9, ""),
        (signal.SIGTERM, 143, "CommandError: Stopped by SIGTERM; nothing was entered.\n"),
        (signal.SIGINT, 130, "CommandError: Stopped by SIGINT; nothing was entered.\n"),
    ],
)
def test_a_run_stopped_at_its_last_statement_enters_nothing(write, number, code, message):
    SuggestionFactory(source="ml", to_station_id=9)
    path = write(line() + line(to_station_id=3))

    with transaction.atomic():
        hold_events()
        process = start_process(path, "--source", "ml", "--replace")
        wait_until_blocked(Waiting(process))
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("", message)
        assert process.returncode == code
        # After kill -9 the statement still waits in the server; SIGTERM and SIGINT cancel it.
        assert len(held_up()) == (number == signal.SIGKILL)
    with transaction.atomic():
        wait_until_alone()
        assert entered() == [(9, 5, "Station 100 is full, Station 200 needs bikes")]
    assert not TaskEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_one_line_and_enters_nothing(write):
    path = write(line())

    with background() as start, transaction.atomic():
        hold_events()
        ingesting = start(run, path)
        wait_until_blocked(ingesting)
        [session] = held_up()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [session.pid])
        with pytest.raises(CommandError, match=r"^The database is not available: [^\n]*$"):
            ingesting.result(timeout=20)
    assert not Suggestion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_lost_amid_the_rows_enters_nothing(write, monkeypatch):
    def cut_after_one_row(file, to_row):
        rows = formats.read_jsonl(file, to_row)
        yield next(rows)
        with background() as start:
            start(cut_others).result(timeout=20)
        yield from rows

    def cut_others():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%COPY staged%'"
                " AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchall() == [(True,)]

    monkeypatch.setitem(READERS, "jsonl", cut_after_one_row)
    # Enough rows that some are sent before the last one is read.
    rows = "".join(line(to_station_id=n, reason="x" * 2_000) for n in range(10, 200))
    message = refusal(write(rows))
    assert re.fullmatch(r"The database is not available: [^\n]*", message)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_rows_are_entered_even_if_the_result_cannot_be_printed(write):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        process = start_process(write(line()), stdout=pipe)
        _, message = process.communicate(timeout=20)

    assert (process.returncode, message) == (0, "Could not print the result: Broken pipe.\n")
    assert entered() == [(2, 5, "Full")]
