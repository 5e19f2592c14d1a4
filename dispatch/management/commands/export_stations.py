import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from django.core.management.base import CommandError, CommandParser
from django.db.models import Prefetch

from ...models import Station, StationAlias
from ...tables import csv_text
from ..base import DispatchCommand, print_all_characters

# New columns come last, for readers that go by position.
COLUMNS = (
    "number",
    "system",
    "feed_ids",
    "name",
    "lat",
    "lon",
    "capacity",
    "gone_at",
    "short_name",
)


class Command(DispatchCommand):
    help = "Writes all stations as CSV: their numbers here and their ids in feeds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", metavar="FILE", help="default: standard output")

    def handle(self, *args: Any, out: str | None, **options: Any) -> None:
        if out is None:
            print_all_characters("utf-8")
            write(self.stdout)
        else:
            write_file(Path(out))


def write_file(out: Path) -> None:
    """Replace the file in one step, so that no reader finds half of it."""
    draft = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            write(file)
        draft.replace(out)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            draft.unlink()


class Writable(Protocol):
    def write(self, text: str, /) -> object: ...


def write(file: Writable) -> None:
    for line in csv_text(chain([COLUMNS], rows())):
        file.write(line)


def rows() -> Iterator[list[Any]]:
    aliases = Prefetch("aliases", StationAlias.objects.order_by("id"))
    for station in Station.objects.order_by("pk").prefetch_related(aliases):
        yield [
            station.pk,
            station.system,
            ";".join(alias.feed_id for alias in station.aliases.all()),
            station.name,
            station.lat,
            station.lon,
            station.capacity,
            station.gone_at.isoformat() if station.gone_at else "",
            station.short_name,
        ]
