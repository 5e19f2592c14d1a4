"""A cluster's data folder: created whole or not at all, and checked for its version."""

import shutil
import uuid
from pathlib import Path

from .errors import DevDbError
from .place import DATABASE, USER, Place
from .programs import Programs, complaint


def data_version(place: Place) -> str:
    version_file = place.data / "PG_VERSION"
    return version_file.read_text().strip() if version_file.exists() else ""


def ensure_data(place: Place, programs: Programs) -> None:
    remove_unfinished(place)
    if not place.data.exists():
        create_data(place, programs)
    elif (found := data_version(place)) != str(programs.major):
        raise DevDbError(
            f"{place.data} is of PostgreSQL {found or '?'} but {programs.folder} is "
            f"{programs.major}: set PG_BIN to the programs of {found or 'its version'}, or "
            f"delete the data with `manage.py devdb reset`."
        )


def create_data(place: Place, programs: Programs) -> None:
    # Built under another name, so that a process killed meanwhile leaves no half data folder.
    target = unfinished(place)
    options = ("-D", str(target), "-U", USER, "-E", "UTF8", "-A", "trust")
    made = programs.run("initdb", *options, "--locale=C.UTF-8", place=place)
    if "invalid locale" in made.stderr:
        made = programs.run("initdb", *options, "--locale=C", place=place)
    if made.returncode == 0:
        single = ("--single", "-D", str(target), "-c", "exit_on_error=on", "postgres")
        made = programs.run("postgres", *single, place=place, stdin=f"CREATE DATABASE {DATABASE}")
    if made.returncode != 0:
        reason = complaint(made.stderr, place.folder)
        raise DevDbError(f"PostgreSQL cannot create its data folder {place.data}: {reason}")
    target.rename(place.data)


def delete_data(place: Place) -> None:
    if place.data.exists():
        # Renamed first, so that a process killed meanwhile leaves no half data folder.
        place.data.rename(unfinished(place))
    remove_unfinished(place)


def unfinished(place: Place) -> Path:
    # A new name each time: an initdb whose parent was killed keeps writing to its own.
    return place.folder / f"unfinished-{uuid.uuid4().hex}"


def remove_unfinished(place: Place) -> None:
    for leftover in place.folder.glob("unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)
