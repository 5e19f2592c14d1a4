"""Rows of our own statements as instances, an eighth of a request cheaper than `raw()`."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from ..models import Suggestion, Task

SUGGESTION_COLUMNS = [field.attname for field in Suggestion._meta.concrete_fields]
TASK_COLUMNS = [field.attname for field in Task._meta.concrete_fields]


def suggestion_from(row: Sequence[Any]) -> Suggestion:
    return Suggestion.from_db(connection.alias, SUGGESTION_COLUMNS, row)


def task_from(row: Sequence[Any]) -> Task:
    return Task.from_db(connection.alias, TASK_COLUMNS, row)
