"""A dispatcher's messages to the crew of a task."""

from django.db import transaction

from ..exceptions import Refusal
from ..models import TEXT_LENGTH, EventKind, TaskEvent
from ..texts import is_printable
from .events import record_task
from .locks import lock_open_task


@transaction.atomic(durable=True)
def message_crew(task_id: int, text: str, *, actor: str) -> TaskEvent:
    """Record a message that the phone of the task's crew shows.

    A message about a ready task is for the crew that claims it. Line breaks become spaces.
    Refusal: the text is empty, too long or not printable. Conflict: the task has ended.
    """
    text = " ".join(text.split())
    if not text:
        raise Refusal("The message is empty.")
    if len(text) > TEXT_LENGTH:
        raise Refusal(f"The message is longer than {TEXT_LENGTH:,} characters.")
    if not is_printable(text):
        raise Refusal("The message has characters that cannot be shown.")
    return record_task(EventKind.MESSAGE, lock_open_task(task_id), actor, text=text)
