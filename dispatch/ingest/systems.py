"""Parses the systems to poll from CSV."""

from typing import Any, BinaryIO

from ..services import SystemRow
from ..tables import plain_cell
from .rows import Columns, RowError
from .whole_files import NO, YES, read_all

COLUMNS = Columns(["name", "address", "headers", "active"], ["name"], {"active"})


def read_systems(name: str, file: BinaryIO) -> list[SystemRow]:
    """Refusal: names every invalid row by its line."""
    return read_all(name, file, system_row, COLUMNS)


def system_row(cells: dict[str, str]) -> SystemRow:
    values: dict[str, Any] = {name: plain_cell(cell).strip() for name, cell in cells.items()}
    if not values["name"]:
        raise RowError("name: missing")
    if "active" in values:
        text = values["active"].lower()
        if text not in (*YES, *NO):
            raise RowError("active: neither yes nor no")
        values["active"] = text in YES
    return SystemRow(values.pop("name"), values)
