"""Parses the roster from CSV, and writes it."""

from typing import Any, BinaryIO

from ..models import Crew
from ..services import CrewRow
from ..tables import plain_cell
from ..values import whole_number
from .rows import Columns, RowError, printable
from .whole_files import NO, YES, read_all

COLUMNS = Columns(
    ["worker_id", "name", "capacity", "system", "areas", "language", "active", "note"],
    ["worker_id"],
    {"capacity", "active"},
)
BETWEEN_AREAS = ";"


def read_crews(name: str, file: BinaryIO) -> list[CrewRow]:
    """Refusal: names every invalid row by its line."""
    return read_all(name, file, crew_row, COLUMNS)


def crew_row(cells: dict[str, str]) -> CrewRow:
    values, problems = {}, []
    for name, cell in cells.items():
        try:
            values[name] = value_of(name, plain_cell(cell).strip())
        except ValueError as error:
            problems.append(f"{name}: {error}: {printable(cell)}")
    if problems:
        raise RowError("; ".join(problems))
    if not values["worker_id"]:
        raise RowError("worker_id: missing")
    return CrewRow(values.pop("worker_id"), values)


def value_of(name: str, text: str) -> Any:
    """An empty cell means the column's default. ValueError: its message names the fault."""
    match name:
        case "capacity":
            return whole_number(text) if text else None
        case "areas":
            return sorted({area.strip() for area in text.split(BETWEEN_AREAS)} - {""})
        case "language":
            return text.lower() or Crew._meta.get_field("language").get_default()
        case "active" if text.lower() in (*YES, *NO):
            return text.lower() in YES
        case "active":
            raise ValueError("neither yes nor no")
        case _:
            return text


def row_of(crew: Crew) -> list[Any]:
    """Return the values in the order of COLUMNS, as `read_crews` reads them."""
    values = {name: getattr(crew, name) for name in COLUMNS.known}
    values["areas"] = BETWEEN_AREAS.join(crew.areas)
    values["active"] = "yes" if crew.active else "no"
    return list(values.values())
