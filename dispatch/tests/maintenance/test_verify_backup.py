"""The check of a restored copy of the database."""

import json

import pytest
from django.core.management import CommandError, call_command

from dispatch import services
from dispatch.models import Task

from ..support.factories import SuggestionFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task():
    return services.approve_suggestion(SuggestionFactory().id, actor="maria").task


def verify(*arguments):
    call_command("verify_backup", *arguments)


def test_whole_copy_is_accepted_with_its_counts(task, capsys):
    verify("--max-age", "1h", "--json")

    report = json.loads(capsys.readouterr().out)
    assert report.pop("last_event_at")
    assert report == {"ok": True, "tasks": 1, "suggestions": 0, "events": 1}


def test_copy_whose_last_event_is_too_old_is_refused(task):
    with pytest.raises(CommandError, match="the backup is too old"):
        verify("--max-age", "0m")


def test_empty_copy_is_refused_if_an_age_is_asked_for():
    verify()
    with pytest.raises(CommandError, match="from never: the backup is too old"):
        verify("--max-age", "1h")


def test_copy_that_contradicts_its_history_is_refused(task):
    Task.objects.filter(pk=task.pk).delete()

    with pytest.raises(CommandError, match="Violated invariants: "):
        verify()
