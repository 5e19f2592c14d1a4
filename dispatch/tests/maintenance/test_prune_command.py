import io
import json
import os
import signal

import pytest
from django.core.management import CommandError, call_command

from dispatch.maintenance.archive import Archive, open_archive
from dispatch.models import Task
from dispatch.services import prune

from ..support.pruning import archived, archived_ids, kept, old_tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tasks.jsonl.gz"


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


def test_the_command_sums_up_in_one_line(path):
    old_tasks(2)

    assert run_command("--archive", str(path)) == "2 tasks removed.\n"
    assert run_command() == "0 tasks removed.\n"
    assert len(archived(path)) == 2


def test_the_command_counts_the_events_that_it_removes():
    old_tasks(2)

    answer = json.loads(run_command("--with-events", "--json"))

    assert answer == {"ok": True, "dry_run": False, "tasks": 2, "events": 4}


def test_a_dry_run_only_counts(path):
    ids = old_tasks(2)
    dry_run = ("--dry-run", "--archive", str(path))

    assert run_command(*dry_run) == "Dry run, nothing was changed: 2 tasks would leave.\n"
    assert run_command(*dry_run, "--with-events") == (
        "Dry run, nothing was changed: 2 tasks and 4 events would leave.\n"
    )
    assert kept() == ids
    assert not path.exists()


@pytest.mark.parametrize(
    "age", ["90", "d", "-1d", "1.5d", "90 d", "90D", "\u0661d", "1234567d", "90d\n"]
)
def test_an_age_that_makes_no_sense_is_refused(age):
    with pytest.raises(CommandError, match="is not an age like 90d, 36h or 1500m"):
        run_command(older_than=age)


@pytest.mark.parametrize(("age", "removed"), [("92d", 0), ("2207h", 0), ("90d", 1), ("130000m", 1)])
def test_ages_are_days_hours_or_minutes(age, removed):
    old_tasks(1)

    assert json.loads(run_command("--json", older_than=age))["tasks"] == removed


def test_a_refusal_is_one_line_that_says_what_was_done(path):
    old_tasks(1)
    path.write_text("My notes")

    assert refusal("--archive", str(path)) == (
        f"{path}: not written by prune, from byte 0 on: give another file. Nothing was removed."
    )
    assert "Nothing was removed." in refusal(older_than="23h")
    assert Task.objects.count() == 1


def test_a_second_prune_with_the_same_file_is_refused(path):
    with open_archive(str(path)):
        assert "another prune writes to it now" in refusal("--archive", str(path))


def test_a_full_disk_stops_it_before_the_batch_for_which_there_is_no_room(
    path, small_batches, monkeypatch
):
    ids = old_tasks(3)
    write = Archive._write

    def write_until_full(archive, data):
        if archive.end:
            raise OSError(28, "No space left on device")
        write(archive, data)

    monkeypatch.setattr(Archive, "_write", write_until_full)
    message = refusal("--archive", str(path))

    assert message == f"{path}: No space left on device. 2 tasks removed."
    assert archived_ids(path) == ids[:2]
    assert kept() == ids[2:]


def test_a_failure_is_told_in_json_too(path):
    path.write_text("My notes")
    output = io.StringIO()

    with pytest.raises(CommandError):
        call_command("prune", "--older-than=90d", "--json", "--archive", str(path), stdout=output)

    answer = json.loads(output.getvalue())
    assert (answer["ok"], answer["tasks"]) == (False, 0)
    assert "not written by prune" in answer["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_batch_at_hand(path, small_batches, monkeypatch, number):
    ids = old_tasks(5)
    append = Archive.append

    def append_and_signal(archive, lines):
        os.kill(os.getpid(), number)
        append(archive, lines)

    monkeypatch.setattr(Archive, "append", append_and_signal)
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(CommandError) as stopped:
        run_command("--archive", str(path))

    assert stopped.value.returncode == 128 + number
    assert str(stopped.value) == f"Stopped by {number.name} after a whole batch. 2 tasks removed."
    assert kept() == ids[2:]
    assert archived_ids(path) == ids[:2]
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
