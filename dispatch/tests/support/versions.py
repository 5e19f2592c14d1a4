"""The next and the previous version of the service, each in a folder of its own."""

import io
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from .server import ROOT

PARTS = ("baywheels", "dispatch", "manage.py", "gunicorn.conf.py", "pyproject.toml")
MIGRATION = """
from django.contrib.postgres.operations import (
    AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint,
)
from django.db import migrations, models

class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = [("dispatch", "{after}")]
    operations = [{operation}]
"""
# As CONTRIBUTING.md says how to write them. The index is alone in its migration.
INDEX = "task_bikes_checked"
COLUMN = 'migrations.AddField("task", "bikes_checked", models.IntegerField(db_default=0))'
INDEXED = f'AddIndexConcurrently("task", models.Index("bikes_checked", name="{INDEX}"))'
CHECKED = (
    'AddConstraintNotValid("task", models.CheckConstraint('
    'condition=models.Q(bikes_checked__gte=0), name="task_bikes_checked_are_not_negative"))'
)
VALIDATED = 'ValidateConstraint("task", "task_bikes_checked_are_not_negative")'


def version_of(folder):
    """Return the version that a server in this folder shows in its API schema."""
    text = (folder / "pyproject.toml").read_text()
    [version] = re.findall('^version = "(.+)"$', text, re.M)
    return version


def next_version(folder):
    """Copy the present code; add migrations of `tasks` with a column, an index and a check."""
    without = shutil.ignore_patterns("tests", "__pycache__")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part, **({"ignore": without} if copy != shutil.copy else {}))
    migrations = folder / "dispatch" / "migrations"
    after = max(path.stem for path in migrations.glob("[0-9]*.py"))
    for number, operation in enumerate((COLUMN, INDEXED, CHECKED, VALIDATED), 9001):
        text = MIGRATION.format(atomic=operation != INDEXED, after=after, operation=operation)
        after = f"{number}_bikes_checked"
        (migrations / f"{after}.py").write_text(text)
    settings = folder / "pyproject.toml"
    ours = f'version = "{version_of(ROOT)}"'
    settings.write_text(settings.read_text().replace(ours, 'version = "999.0.0"'))
    return folder


def git(*arguments):
    # In CI the checkout belongs to another user.
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


def previous_version(folder):
    """Write the last commit of the version before this one. Skips without history; fails in CI."""
    if git("rev-parse", "--is-shallow-repository").strip() == b"false":
        search = f'-Sversion = "{version_of(ROOT)}"'
        changes = git("log", "--reverse", "--format=%H", search, "--", "pyproject.toml").split()
        if archive := changes and git("archive", f"{changes[0].decode()}^"):
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(folder, filter="data")
            return folder
    refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    refuse("The previous version is not in this clone's history. Its test did not run.")
