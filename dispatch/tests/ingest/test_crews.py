"""The roster as a file: import_crews, export_crews, and their rules shared with the console."""

from io import BytesIO, StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from hypothesis import given
from hypothesis import strategies as st

from dispatch.exceptions import Refusal
from dispatch.ingest.crews import COLUMNS, read_crews, row_of
from dispatch.models import Crew
from dispatch.services import import_crews
from dispatch.tables import csv_text
from dispatch.texts import printable

from ..support.factories import CrewFactory, StationFactory, UserFactory

pytestmark = pytest.mark.django_db

HEADER = "worker_id,name,capacity,areas,language,active,note\n"


def read(text):
    return read_crews("crews.csv", BytesIO(text.encode()))


def enter(text, user_id=None):
    return import_crews(read(text), user_id=user_id)


def refusal_of(text):
    with pytest.raises(Refusal) as caught:
        enter(text)
    return str(caught.value).splitlines()


def roster():
    columns = ("worker_id", "name", "capacity", "areas", "language", "active", "note")
    return list(Crew.objects.values_list(*columns))


def test_import_adds_and_changes_crews():
    CrewFactory(worker_id="van-1", note="Keys at the depot")
    CrewFactory(worker_id="van-2")
    CrewFactory(worker_id="van-3", capacity=9)

    change = enter(
        "worker_id,name,capacity,areas,active\n"
        "van-1,Night van,20,San José; East Bay,no\n"
        "van-3,,9,,yes\n"
        "van-4,,,,\n"
    )

    assert str(change) == "1 added, 1 changed, 1 unchanged."
    assert roster() == [
        ("van-1", "Night van", 20, ["East Bay", "San José"], "en", False, "Keys at the depot"),
        ("van-2", "", None, [], "en", True, ""),
        ("van-3", "", 9, [], "en", True, ""),
        ("van-4", "", None, [], "en", True, ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffworker_id,capacity\nvan-1,20.0\n",
        'worker_id;capacity;areas\nvan-1;20,0;"East Bay;San José"\n',
        "sep=;\nworker_id;capacity\n van-1 ;20\n",
        "\tworker_id\tcapacity\tactive\n0\tvan-1\t20\tTRUE\n",
    ],
)
def test_import_reads_files_of_spreadsheets_and_pandas(text):
    enter(text)

    assert [(crew.worker_id, crew.capacity, crew.active) for crew in Crew.objects.all()] == [
        ("van-1", 20, True)
    ]


def test_import_names_every_faulty_row_and_changes_nothing():
    rows = "van-1,,many,,,,\n,Night van,,,,,\nvan-2,,,,,perhaps,\nvan-3,,,,,,\n"

    assert refusal_of(HEADER + rows) == [
        "3 rows are invalid; nothing was changed.",
        "line 2: capacity: not a whole number: many",
        "line 3: worker_id: missing",
        "line 4: active: neither yes nor no: perhaps",
    ]
    assert not Crew.objects.exists()


def test_import_refuses_values_that_the_form_refuses():
    StationFactory(area="San José")
    rows = "van-1,,0,,,,\nvan-2,,,San Jose,,,\nvan-3,,,,klingon,,\nvan-4,,,,,,\nvan-4,,,,,,\n"

    assert refusal_of(HEADER + rows) == [
        "Nothing was changed.",
        "van-1: capacity: Ensure this value is greater than or equal to 1.",
        "van-2: areas: no station lies in San Jose",
        "van-3: language: Value 'klingon' is not a valid choice.",
        "van-4: appears twice",
    ]
    assert not Crew.objects.exists()


def test_import_keeps_an_area_that_the_crew_already_has():
    StationFactory(area="San José")
    CrewFactory(worker_id="van-1", areas=["Old Town"])

    enter("worker_id,areas\nvan-1,Old Town;San José\n")

    assert Crew.objects.get().areas == ["Old Town", "San José"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (",East Bay", "areas: East Bay is an area of bay and lyon; name the crew's system"),
        ("lyon,San José", "areas: no station of lyon lies in San José"),
    ],
)
def test_import_refuses_areas_outside_of_the_system(row, complaint):
    StationFactory(area="San José", system="bay")
    for system in ("bay", "lyon"):
        StationFactory(area="East Bay", system=system)

    assert f"van-1: {complaint}" in refusal_of(f"worker_id,system,areas\nvan-1,{row}\n")
    enter("worker_id,system,areas\nvan-1,lyon,East Bay\n")
    assert Crew.objects.get().places == ["lyon", "East Bay"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("PK\x03\x04 xl/", "an Excel workbook"),
        ("worker_id,age\nvan-1,7\n", "unknown column 'age'"),
        ("name\nVan\n", "column worker_id is missing"),
        ("worker_id\n", "has no rows"),
        ("worker_id\nvan\u202e1\n", "Enter a single line of printable characters."),
        ("worker_id\nnul\0\n", "Enter a single line of printable characters."),
        ("worker_id,note\nvan-1,nul\0\n", "Null characters are not allowed."),
        (f"worker_id\n{'x' * 201}\n", "at most 200 characters"),
    ],
)
def test_import_refuses_other_files(text, complaint):
    assert complaint in "\n".join(refusal_of(text))
    assert not Crew.objects.exists()


def test_import_refuses_a_system_without_stations():
    CrewFactory(worker_id="van-2", system="former")
    enter("worker_id,system\nvan-1,bay\n")
    StationFactory(system="bay")

    complaint = "van-1: system: no station belongs to bya"
    assert refusal_of("worker_id,system\nvan-1,bya\n") == ["Nothing was changed.", complaint]
    enter("worker_id,system\nvan-1,bay\nvan-2,former\nvan-3,\n")


def test_import_from_the_console_is_in_the_history():
    CrewFactory(worker_id="van-1", name="Old")
    enter("worker_id,name\nvan-1,New\nvan-2,Newer\n", UserFactory().pk)

    assert sorted(LogEntry.objects.values_list("object_repr", "action_flag")) == [
        ("New", 2),
        ("Newer", 1),
    ]


names = st.text(max_size=20).map(printable).filter(lambda name: name == name.strip().lstrip("'"))


@given(
    worker_id=names.filter(bool),
    name=names,
    system=names,
    areas=st.sets(names.filter(bool).filter(lambda name: ";" not in name), max_size=3),
    capacity=st.none() | st.integers(1, 99),
    active=st.booleans(),
)
def test_export_can_be_imported_again(worker_id, name, system, areas, capacity, active):
    crew = Crew(
        worker_id=worker_id,
        name=name,
        system=system,
        areas=sorted(areas),
        capacity=capacity,
        active=active,
    )

    [row] = read("".join(csv_text([COLUMNS.known, row_of(crew)])))

    assert row.worker_id == worker_id
    assert row.values == {
        "name": name,
        "system": system,
        "areas": sorted(areas),
        "capacity": capacity,
        "active": active,
        "language": "en",
        "note": "",
    }


def test_commands_copy_a_roster(tmp_path):
    CrewFactory(worker_id="=cmd", name="-1", areas=["East Bay", "San José"], capacity=20)
    before, written = roster(), StringIO()
    call_command("export_crews", stdout=written)
    assert "'=cmd,'-1,20" in written.getvalue()
    (tmp_path / "crews.csv").write_text(written.getvalue(), encoding="utf-8")
    Crew.objects.all().delete()
    said = StringIO()

    call_command("import_crews", str(tmp_path / "crews.csv"), stdout=said)

    assert said.getvalue() == "1 added, 0 changed, 0 unchanged.\n"
    assert roster() == before


def test_command_fails_in_one_message(tmp_path):
    (tmp_path / "crews.csv").write_text("worker_id,capacity\nvan-1,x\n")

    with pytest.raises(CommandError, match="line 2: capacity: not a whole number: x"):
        call_command("import_crews", str(tmp_path / "crews.csv"))
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_crews", str(tmp_path / "missing.csv"))
