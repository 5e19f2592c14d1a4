"""The taps of phones and their answers, compared with the history on the server."""

import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import requests

from dispatch.maintenance.invariants import violations
from dispatch.models import Task, TaskEvent

# The event that a report causes, by the report's kind and the code of its answer.
EVENTS = {
    ("done", "done"): "completed",
    ("give_back", "given_back"): "released",
    ("problem", "problem_noted"): "problem",
}
REFUSALS = {"invalid", "update", "id_reused", "unknown_task"}
STARTS = {"claimed", "reassigned"}
ENDS = {"completed", "released", "cancelled"}


@dataclass(frozen=True)
class Saved:
    """A report that a phone has stored. `qty` is the task's."""

    worker_id: str
    kind: str
    task_id: int
    attempt: int
    moved_qty: int | None
    qty: int


@dataclass
class Books:
    """Kept outside the phones, so that a restart forgets nothing here."""

    # The number of times that each crew asked for a new task.
    taps: Counter[str] = field(default_factory=Counter)
    reports: dict[str, Saved] = field(default_factory=dict)
    # The answer that the phone received, by the report's id.
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Every answer that the server gave, by the report's id.
    said: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tapped(self, worker_id: str) -> None:
        with self.lock:
            self.taps[worker_id] += 1

    def saved(self, worker_id: str, entry: dict[str, Any], task: dict[str, Any]) -> None:
        named = {name: entry[name] for name in ("kind", "task_id", "attempt")}
        moved_qty = entry["values"].get("moved_qty")
        saved = Saved(worker_id, **named, moved_qty=moved_qty, qty=task["qty"])
        with self.lock:
            self.reports[entry["id"]] = saved

    def acknowledged(self, id: str, answer: dict[str, Any]) -> None:
        with self.lock:
            self.answers[id] = answer

    def heard(self, request: requests.Request, answer: requests.Response) -> None:
        if request.url.endswith("/reports") and answer.status_code < 500:
            with self.lock:
                self.said[request.json["id"]].add(json.dumps(answer.json(), sort_keys=True))


# The report's id, the kind of its event, the crew, the task, the attempt, and the bikes if any.
Record = tuple[str, str, str, int, int, int | None]


def faults(books: Books, phones: list[Any]) -> dict[str, Any]:
    """Return what is wrong, by name. Nothing may be under way any more."""
    events = list(TaskEvent.objects.exclude(task_id=None).order_by("task_id", "id"))
    reported, recorded = records_of(books), Counter(records_in(events))
    found = {
        "an invariant": violations(),
        "a task held by two": held_by_two(events),
        "a claim without a tap": claims(events) - books.taps,
        "a view recorded twice": [view for view, times in views(events).items() if times > 1],
        "a report still on the phone": [id for phone in phones for id in phone.waiting()],
        "a report without an answer": books.reports.keys() - books.answers.keys(),
        "a report refused": [a for a in books.answers.values() if a.get("code") in REFUSALS],
        "two answers to one report": [said for said in books.said.values() if len(said) > 1],
        "an acknowledged report that was lost": reported - recorded,
        "a report recorded twice or unasked": recorded - reported,
        "task without a phone": held() ^ {(p.worker_id, t["id"]) for p in phones for t in p.tasks},
        "bikes": bikes_recorded() - bikes_reported(reported),
    }
    return {name: what for name, what in found.items() if what}


def records_of(books: Books) -> Counter[Record]:
    """The events that the answers to the phones promise."""
    records: Counter[Record] = Counter()
    for id, answer in books.answers.items():
        report = books.reports[id]
        if kind := kind_of_event(report.kind, answer):
            moved = report.qty if report.moved_qty is None else report.moved_qty
            qty = moved if report.kind == "done" else None
            records[id, kind, report.worker_id, report.task_id, report.attempt, qty] += 1
    return records


def kind_of_event(kind: str, answer: dict[str, Any]) -> str | None:
    if answer.get("kept"):
        return "late_report" if kind == "done" else "problem"
    return EVENTS.get((kind, answer.get("code")))


def records_in(events: list[TaskEvent]) -> list[Record]:
    quantities = dict(Task.objects.values_list("id", "qty"))
    return [
        (
            event.details["report"],
            event.kind,
            event.worker_id,
            event.task_id,
            event.attempt,
            event.details.get("moved_qty", quantities[event.task_id])
            if event.kind in ("completed", "late_report")
            else None,
        )
        for event in events
        if "report" in event.details
    ]


def held_by_two(events: list[TaskEvent]) -> list[int]:
    """The tasks of which one claim began, by number or by time, before the former had ended."""
    found = []
    for task_id, history in groupby(events, lambda event: event.task_id):
        holder = None
        kept = [event for event in history if event.kind in STARTS | ENDS]
        for event in kept:
            if event.kind == "claimed" and holder:
                found.append(task_id)
            if event.kind in ENDS and event.worker_id != holder and event.kind != "cancelled":
                found.append(task_id)
            holder = event.worker_id if event.kind in STARTS else None
        if any(after.at < before.at for before, after in pairwise(kept)):
            found.append(task_id)
    return found


def claims(events: list[TaskEvent]) -> Counter[str]:
    return Counter(event.worker_id for event in events if event.kind == "claimed")


def views(events: list[TaskEvent]) -> Counter[tuple[int | None, int | None, int | None]]:
    return Counter(
        (event.task_id, event.attempt, event.details.get("message_id"))
        for event in events
        if event.kind == "seen"
    )


def held() -> set[tuple[str, int]]:
    return set(Task.objects.assigned().values_list("worker_id", "id"))


def bikes_recorded() -> int:
    return sum(task.moved_qty for task in Task.objects.filter(status="completed"))


def bikes_reported(records: Counter[Record]) -> int:
    return sum(record[-1] * times for record, times in records.items() if record[1] == "completed")
