"""A dispatcher's messages to the crew of a task, and the record of those shown by its phone."""

from typing import Any

from django.db import transaction
from django.db.models import Q

from ..exceptions import Conflict, NotFound, Refusal
from ..models import TEXT_LENGTH, EventKind, Task, TaskEvent
from ..texts import is_printable
from .events import record_task
from .locks import holder_refusal, lock_open_task, lock_task


@transaction.atomic(durable=True)
def message_crew(task_id: int, text: str, *, actor: str, worker_id: str = "") -> TaskEvent:
    """Record a message that the phone of the task's crew shows.

    A message about a ready task is for the crew that claims it. Line breaks become spaces.
    `worker_id`: the crew that the message is for. Empty: any.
    Refusal: the text is empty, too long or not printable. Conflict: the task has ended, or the crew
    does not hold it.
    """
    text = " ".join(text.split())
    if not text:
        raise Refusal("The message is empty.")
    if len(text) > TEXT_LENGTH:
        raise Refusal(f"The message is longer than {TEXT_LENGTH:,} characters.")
    if not is_printable(text):
        raise Refusal("The message has characters that cannot be shown.")
    task = lock_open_task(task_id)
    if worker_id and (refusal := holder_refusal(task, worker_id, None)):
        raise Conflict(refusal)
    return record_task(EventKind.MESSAGE, task, actor, text=text)


@transaction.atomic(durable=True)
def note_seen(
    task_id: int,
    attempt: int,
    message_id: int | None,
    *,
    worker_id: str,
    actor: str,
    **details: Any,
) -> None:
    """Record that the crew's phone has shown the task and its messages up to `message_id`.

    `message_id` None: no message. Recorded once for each new pair of attempt and message. Nothing
    is recorded if the crew does not hold the task in this attempt.
    """
    try:
        task = lock_task(task_id)
    except NotFound:
        return
    if holder_refusal(task, worker_id, attempt):
        return
    shown = last_message(task, message_id)
    seen = TaskEvent.objects.filter(task_id=task_id, kind=EventKind.SEEN, attempt=attempt)
    if not seen.filter(Q(details__message_id__gte=shown) if shown else Q()).exists():
        record_task(EventKind.SEEN, task, actor, message_id=shown, **details)


def last_message(task: Task, up_to: int | None) -> int | None:
    """The id of the newest message about the task that is not newer than `up_to`."""
    if up_to is None:
        return None
    messages = TaskEvent.objects.filter(task_id=task.pk, kind=EventKind.MESSAGE, pk__lte=up_to)
    return messages.order_by("pk").values_list("pk", flat=True).last()
