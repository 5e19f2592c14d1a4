import io
import json
import os
import signal
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dispatch.maintenance.archive import Archive
from dispatch.models import Rollup, Task
from dispatch.services import prune

from ..support.kpi_shift import happened
from ..support.pruning import archived, archived_ids, kept, old_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(prune, "BATCH", 2)


def run_command(*options, older_than="90d"):
    output = io.StringIO()
    call_command("prune", f"--older-than={older_than}", *options, stdout=output)
    return output.getvalue()


def refusal(*options, **more):
    with pytest.raises(CommandError) as refused:
        run_command(*options, **more)
    assert refused.value.returncode == 1
    return str(refused.value)


def test_the_result_is_one_line(tmp_path):
    old_tasks(2)

    assert run_command("--archive", str(tmp_path)) == "2 tasks removed.\n"
    assert run_command() == "0 tasks removed.\n"
    assert len(archived(tmp_path)) == 2


def test_removed_events_are_counted():
    old_tasks(2)

    answer = json.loads(run_command("--with-events", "--json"))

    assert answer.pop("ok")
    assert {name: number for name, number in answer.items() if number} == {"tasks": 2, "events": 4}


def test_a_dry_run_only_counts(tmp_path):
    ids = old_tasks(2)
    dry_run = ("--dry-run", "--archive", str(tmp_path))

    assert run_command(*dry_run) == "Dry run, nothing was changed: 2 tasks would be removed.\n"
    assert run_command(*dry_run, "--with-events") == (
        "Dry run, nothing was changed: 2 tasks and 4 events would be removed.\n"
    )
    assert kept() == ids
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "age", ["90", "d", "-1d", "1.5d", "90 d", "90D", "\u0661d", "1234567d", "90d\n"]
)
def test_an_invalid_age_is_refused(age):
    with pytest.raises(CommandError, match="is not an age like 90d, 36h or 1500m"):
        run_command(older_than=age)


@pytest.mark.parametrize(("age", "removed"), [("92d", 0), ("2207h", 0), ("90d", 1), ("130000m", 1)])
def test_ages_are_days_hours_or_minutes(age, removed):
    old_tasks(1)

    assert json.loads(run_command("--json", older_than=age))["tasks"] == removed


def test_an_age_is_required():
    with pytest.raises(CommandError, match="Give at least one age"):
        call_command("prune", "--with-events")


def test_refusal_counts_the_removed_tasks(tmp_path):
    old_tasks(1)
    absent = tmp_path / "absent"

    assert refusal("--archive", str(absent)) == (
        f"{absent}: not an existing folder. Nothing was removed."
    )
    assert "Nothing was removed." in refusal(older_than="23h")
    assert Task.objects.count() == 1


def test_an_empty_archive_name_is_refused():
    """An unset variable in a crontab must not delete tasks without an archive."""
    old_tasks(1)

    for empty in (["--archive", ""], ["--archive="]):
        assert refusal(*empty) == (
            "--archive must not be empty: is a variable unset? Nothing was removed."
        )
    assert Task.objects.count() == 1


def test_a_full_disk_stops_it_before_the_batch_that_does_not_fit(
    tmp_path, small_batches, monkeypatch
):
    ids = old_tasks(3)
    link = os.link

    def link_until_full(source, target):
        if list(tmp_path.glob("*.gz")):
            raise OSError(28, "No space left on device")
        link(source, target)

    monkeypatch.setattr("os.link", link_until_full)
    message = refusal("--archive", str(tmp_path))

    assert message == f"{tmp_path}: No space left on device. 2 tasks removed."
    assert archived_ids(tmp_path) == ids[:2]
    assert kept() == ids[2:]


def test_a_failure_is_reported_in_json_too(tmp_path):
    output = io.StringIO()
    archive = str(tmp_path / "absent")

    with pytest.raises(CommandError):
        call_command("prune", "--older-than=90d", "--json", "--archive", archive, stdout=output)

    answer = json.loads(output.getvalue())
    assert (answer["ok"], answer["tasks"]) == (False, 0)
    assert "not an existing folder" in answer["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_current_batch(tmp_path, small_batches, monkeypatch, number):
    ids = old_tasks(5)
    write = Archive.write

    def write_and_signal(archive, name, lines):
        os.kill(os.getpid(), number)
        write(archive, name, lines)

    monkeypatch.setattr(Archive, "write", write_and_signal)
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(CommandError) as stopped:
        run_command("--archive", str(tmp_path))

    assert stopped.value.returncode == 128 + number
    assert str(stopped.value) == f"Stopped by {number.name} after a whole batch. 2 tasks removed."
    assert kept() == ids[2:]
    assert archived_ids(tmp_path) == ids[:2]
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_figures_are_stored_before_their_rows_are_pruned():
    yesterday = timezone.now() - timedelta(days=1)
    happened("completed", yesterday, 1, "van-1", 1, moved_qty=2)

    run_command("--dry-run")
    assert not Rollup.objects.exists()
    run_command()

    assert [rollup.day for rollup in Rollup.objects.all()] == [timezone.localdate(yesterday)]
