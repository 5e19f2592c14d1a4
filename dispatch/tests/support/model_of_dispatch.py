"""A model of the services in dicts and lists: no SQL, no clock, no concurrency.

Each operation returns the service's expected result, or raises the expected refusal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dispatch.exceptions import Conflict, IdempotencyKeyReused, NotFound, Refusal
from dispatch.services import IngestResult, Report, SuggestionRow

OPEN = ("ready", "assigned")
CLAIMS = ("claimed", "reassigned")
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(8000, 1, 1, tzinfo=UTC)
# When a lease runs out, its claim is moved back by this much: more than there are claims.
LONG_AGO = 1000
Stations = tuple[int, int]
# The id and creation time of each row that a service has just inserted.
New = list[tuple[int, datetime]]


@dataclass(frozen=True)
class Suggestion:
    id: int
    move: Stations
    qty: int
    reason: str
    priority: int
    source: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class Task:
    id: int
    move: Stations
    qty: int
    reason: str
    priority: int
    source: str
    created_at: datetime
    suggestion_id: int | None = None
    status: str = "ready"
    worker_id: str | None = None
    attempt: int = 0
    # None, "runs" or "out".
    lease: str | None = None
    moved_qty: int | None = None
    note: str = ""
    reported_completed_at: datetime | None = None
    # A time of the model's own clock: only its order matters.
    assigned_at: int = field(default=0, compare=False)
    # None: there was none, or it is too old to be undone.
    approval: "Decision | None" = field(default=None, compare=False)


@dataclass(frozen=True)
class Decision:
    """An approval or rejection that can still be undone, with its suggestion."""

    at: datetime
    proposed: Suggestion


@dataclass(frozen=True)
class Key:
    worker_id: str
    task_id: int
    expired: bool = False
    # Empty: the claim named none.
    area: str = ""


@dataclass(frozen=True)
class Crew:
    """A crew on the roster. No system, no areas: every one. No capacity: it takes any number."""

    areas: tuple[str, ...] = ()
    capacity: int | None = None
    system: str = ""

    def may_take(self, qty: int, area: str, system: str) -> bool:
        fits = self.capacity is None or qty <= self.capacity
        return fits and (not self.areas or area in self.areas) and self.system in ("", system)


@dataclass(frozen=True)
class Event:
    kind: str
    task_id: int | None = None
    suggestion_id: int | None = None
    worker_id: str | None = None
    attempt: int | None = None
    source: str = ""


def stations(row: SuggestionRow) -> Stations:
    return row.from_station_id, row.to_station_id


def shifted(priority: int, to: int | None, by: int) -> int:
    return sorted((-100, (priority if to is None else to) + by, 100))[1]


def is_held_by(task: Task, worker_id: str | None, attempt: int | None) -> bool:
    """None: any worker, any attempt."""
    return worker_id in (None, task.worker_id) and attempt in (None, task.attempt)


class Suggestions:
    """Suggestions, and the events about them."""

    def __init__(self) -> None:
        self.suggestions: dict[int, Suggestion] = {}
        self.tasks: dict[int, Task] = {}
        self.events: list[Event] = []
        # By the suggestion's id. None: too old to be undone.
        self.rejections: dict[int, Decision | None] = {}

    def suggestion(self, suggestion_id: int) -> Suggestion:
        if suggestion_id not in self.suggestions:
            raise NotFound
        return self.suggestions[suggestion_id]

    def record_suggestion(self, kind: str, of: Suggestion) -> None:
        self.events.append(Event(kind, suggestion_id=of.id, source=of.source))

    def remove(self, kind: str, suggestion: Suggestion) -> None:
        del self.suggestions[suggestion.id]
        self.record_suggestion(kind, suggestion)

    def insert(self, rows: list[SuggestionRow], source: str, new: New) -> None:
        assert len(new) == len(rows)
        for row, (id, created_at) in zip(rows, new, strict=True):
            what = (stations(row), row.qty, row.reason, row.priority, source)
            self.suggestions[id] = Suggestion(id, *what, created_at, row.expires_at)

    def refresh(self, id: int, row: SuggestionRow) -> None:
        former = self.suggestions[id]
        by_hand = self.is_prioritized(id)
        self.suggestions[id] = replace(
            former,
            qty=row.qty,
            reason=row.reason,
            priority=former.priority if by_hand else row.priority,
            expires_at=row.expires_at,
        )

    def is_prioritized(self, suggestion_id: int) -> bool:
        return any(
            each.kind == "prioritized" and each.suggestion_id == suggestion_id
            for each in self.events
        )

    def add(self, row: SuggestionRow, source: str, new: New) -> None:
        self.insert([row], source, new)
        self.record_suggestion("suggested", self.suggestions[new[0][0]])

    def reject(self, suggestion_id: int, at: datetime) -> str:
        suggestion = self.suggestion(suggestion_id)
        self.remove("rejected", suggestion)
        self.rejections[suggestion_id] = Decision(at, suggestion)
        return "rejected"

    def undo_rejection(self, suggestion_id: int, new: New) -> Suggestion:
        if suggestion_id not in self.rejections:
            self.suggestion(suggestion_id)
            raise Conflict
        rejection = self.rejections[suggestion_id]
        if rejection is None:
            raise Conflict
        self.rejections[suggestion_id] = None
        self.record_suggestion("undone", rejection.proposed)
        return self.restore(rejection.proposed, rejection.at, new)

    def restore(self, proposed: Suggestion, decided_at: datetime, new: New) -> Suggestion:
        """The oldest of the source's suggestions of this move since, or else a new one."""
        same = [
            each
            for each in self.suggestions.values()
            if (each.source, each.move) == (proposed.source, proposed.move)
            and each.created_at >= decided_at
        ]
        if same:
            assert not new
            return min(same, key=lambda each: each.id)
        [(id, _)] = new
        restored = self.suggestions[id] = replace(proposed, id=id)
        if self.is_prioritized(proposed.id):
            self.record_suggestion("prioritized", restored)
        return restored

    def prioritize_suggestion(self, id: int, to: int | None, by: int) -> tuple[Suggestion, bool]:
        former = self.suggestion(id)
        new = replace(former, priority=shifted(former.priority, to, by))
        if new != former:
            self.suggestions[id] = new
            self.record_suggestion("prioritized", new)
        return new, new != former

    def oldest_of(self, source: str) -> dict[Stations, int]:
        """The oldest open suggestion of the source for each move."""
        newest_first = sorted(self.suggestions.values(), key=lambda each: -each.id)
        return {each.move: each.id for each in newest_first if each.source == source}

    def under_way(self, move: Stations) -> list[Task]:
        tasks = sorted(self.tasks.values(), key=lambda each: each.id)
        return [each for each in tasks if each.move == move and each.status in OPEN]

    def ingest(
        self,
        rows: list[SuggestionRow],
        source: str,
        new: New,
        *,
        replace: bool,
        allow_empty: bool,
        include_under_way: bool,
        dry_run: bool,
    ) -> IngestResult:
        if replace and not (source and (rows or allow_empty)):
            raise Refusal
        # Of rows with the same move, the last one counts, at its own place.
        last = {stations(row): at for at, row in enumerate(rows)}
        named = [rows[at] for at in sorted(last.values())]
        kept = [row for row in named if include_under_way or not self.under_way(stations(row))]
        known = self.oldest_of(source)
        refreshed = {known[stations(row)]: row for row in kept if stations(row) in known}
        inserted = [row for row in kept if stations(row) not in known]
        of_source = {each.id for each in self.suggestions.values() if each.source == source}
        removed = of_source - refreshed.keys() if replace else set()
        if not dry_run:
            for id, row in refreshed.items():
                self.refresh(id, row)
            for id in removed:
                del self.suggestions[id]
            self.insert(inserted, source, new)
            self.events.append(Event("ingested", source=source))
        return IngestResult(
            inserted=len(inserted),
            refreshed=len(refreshed),
            removed=len(removed),
            repeated=len(rows) - len(named),
            under_way=len(named) - len(kept),
            decided=0,
            expired=sum(row.expires_at == PAST for row in kept),
        )

    def propose(self, rows: list[SuggestionRow], source: str, new: New) -> list[str]:
        known, created, outcomes = self.oldest_of(source), {}, []
        for row in rows:
            move = stations(row)
            if self.under_way(move):
                outcomes.append("under_way")
            elif move in known:
                self.refresh(known[move], row)
                outcomes.append("refreshed")
            else:
                outcomes.append("refreshed" if move in created else "created")
                created[move] = row
        self.insert(list(created.values()), source, new)
        self.events.append(Event("ingested", source=source))
        return outcomes


class Model(Suggestions):
    """Suggestions, tasks, idempotency keys and reports of phones."""

    limit = 0
    leases = True

    def __init__(self, areas: Mapping[int, str], systems: Mapping[int, str]) -> None:
        """Those of stations. `roster` may be set afterwards; other crews may take every task."""
        super().__init__()
        self.areas, self.systems = areas, systems
        self.roster: Mapping[str, Crew] = {}
        self.keys: dict[tuple[str, str | None], Key] = {}
        # Values and answer, by the number of the report's id.
        self.reports: dict[int, tuple[tuple[Any, ...], str]] = {}
        self.clock = 0

    def task(self, task_id: int) -> Task:
        if task_id not in self.tasks:
            raise NotFound
        return self.tasks[task_id]

    def open_task(self, task_id: int) -> Task:
        task = self.task(task_id)
        if task.status not in OPEN:
            raise Conflict
        return task

    def held_task(self, task_id: int, worker_id: str | None, attempt: int | None = None) -> Task:
        task = self.task(task_id)
        if task.status != "assigned" or not is_held_by(task, worker_id, attempt):
            raise Conflict
        return task

    def record(self, kind: str, task: Task, about: str | None = None) -> None:
        who = about or task.worker_id
        event = Event(kind, task.id, task.suggestion_id, who, task.attempt, task.source)
        self.events.append(event)

    def change(self, kind: str, task: Task, about: str | None = None, **fields: Any) -> Task:
        """`about`: the worker that the event names. None: the holder."""
        self.tasks[task.id] = task = replace(task, **fields)
        self.record(kind, task, about)
        return task

    def approve(self, suggestion_id: int, new: New, at: datetime | None) -> list[str]:
        of = self.suggestion(suggestion_id)
        if of.expires_at == PAST:
            raise Conflict
        del self.suggestions[suggestion_id]
        [(id, created_at)] = new
        what = (of.move, of.qty, of.reason, of.priority, of.source)
        task = Task(id, *what, created_at, suggestion_id, approval=at and Decision(at, of))
        return self.create("approved", task)

    def undo_approval(self, task_id: int, new: New) -> Suggestion:
        task = self.task(task_id)
        if task.status != "ready" or task.attempt or task.approval is None:
            raise Conflict
        self.change("undone", task, status="cancelled")
        proposed = replace(task.approval.proposed, priority=task.priority)
        return self.restore(proposed, task.approval.at, new)

    def create(self, kind: str, task: Task) -> list[str]:
        start, end = task.move
        same = self.under_way(task.move)[:3]
        self.change(kind, task)
        return [
            f"Task {each.id} ({each.status}) already moves bikes"
            f" from Station {start} to Station {end}."
            for each in same
        ]

    def prioritize_task(self, task_id: int, to: int | None, by: int) -> tuple[Task, bool]:
        former = self.open_task(task_id)
        new = shifted(former.priority, to, by)
        if new == former.priority:
            return former, False
        return self.change("prioritized", former, priority=new), True

    def claim(self, worker_id: str, actor: str, key: str | None, area: str | None) -> Task | None:
        known = self.keys.get((actor, key))
        if known and not known.expired:
            if (known.worker_id, known.area) != (worker_id, area or ""):
                raise IdempotencyKeyReused
            return self.task(known.task_id)
        task = self.oldest_task_at_limit(worker_id) or self.claim_head_of_queue(worker_id, area)
        if key and task:
            self.keys[actor, key] = Key(worker_id, task.id, area=area or "")
        return task

    def oldest_task_at_limit(self, worker_id: str) -> Task | None:
        assigned = [each for each in self.tasks.values() if each.status == "assigned"]
        held = [each for each in assigned if each.worker_id == worker_id]
        if not self.limit or len(held) < self.limit:
            return None
        return min(held, key=lambda each: each.assigned_at)

    def claim_head_of_queue(self, worker_id: str, area: str | None) -> Task | None:
        crew = self.roster.get(worker_id, Crew())
        if area and crew.areas and area not in crew.areas:
            raise Conflict
        ready = [
            each
            for each in self.tasks.values()
            if each.status == "ready"
            and crew.may_take(each.qty, self.area_of(each), self.systems.get(each.move[0], ""))
            and area in (None, self.area_of(each))
        ]
        order = sorted(ready, key=lambda each: (-each.priority, each.created_at, each.id))
        return self.assign("claimed", order[0], worker_id) if order else None

    def area_of(self, task: Task) -> str:
        return self.areas.get(task.move[0], "")

    def assign(self, kind: str, task: Task, worker_id: str) -> Task:
        self.clock += 1
        return self.change(
            kind,
            task,
            status="assigned",
            worker_id=worker_id,
            attempt=task.attempt + 1,
            lease=self.new_lease(),
            assigned_at=self.clock,
        )

    def new_lease(self) -> str | None:
        return "runs" if self.leases else None

    def extend(self, task_id: int, worker_id: str | None) -> Task:
        return self.change("extended", self.held_task(task_id, worker_id), lease=self.new_lease())

    def release(
        self, task_id: int, worker_id: str | None = None, attempt: int | None = None
    ) -> Task:
        task = self.held_task(task_id, worker_id, attempt)
        free = {"status": "ready", "worker_id": None, "lease": None}
        return self.change("released", task, task.worker_id, **free)

    def reassign(self, task_id: int, worker_id: str) -> tuple[Task, bool]:
        task = self.open_task(task_id)
        if task.worker_id == worker_id:
            return task, False
        return self.assign("reassigned", task, worker_id), True

    def complete(
        self, task_id: int, report: Report, attempt: int | None, possible: bool
    ) -> tuple[Task, bool]:
        """`possible`: the reported time is between the claim and now."""
        task = self.task(task_id)
        held = task.status in ("assigned", "completed")
        if not held or not is_held_by(task, report.worker_id, attempt):
            self.keep_late_report(task, report.worker_id)
            raise Conflict
        if task.status == "completed":
            return task, False
        said = task.qty if report.moved_qty is None else report.moved_qty
        done = self.change(
            "completed",
            task,
            status="completed",
            lease=None,
            moved_qty=min(said, max(task.qty, 40)),
            note=report.note,
            reported_completed_at=report.completed_at if possible else None,
        )
        return done, True

    def keep_late_report(self, task: Task, worker_id: str | None) -> None:
        """Once for each claim of the worker, and never if the report names no worker."""
        of_task = [each for each in self.events if each.task_id == task.id]
        of_worker = [each for each in of_task if each.worker_id == worker_id]
        claims = [each for each in of_worker if each.kind in CLAIMS]
        if claims:
            self.record_late_report(claims[-1])

    def record_late_report(self, claim: Event) -> None:
        report = replace(claim, kind="late_report")
        if report not in self.events:
            self.events.append(report)

    def report(
        self, number: int, kind: str, task_id: int, worker_id: str | None, attempt: int
    ) -> str:
        """A phone's report, by the number of its id. Returns the code of the answer."""
        values = (kind, task_id, worker_id, attempt)
        former, code = self.reports.get(number, (values, None))
        if former != values:
            raise IdempotencyKeyReused
        code = code or self.settle(kind, self.tasks.get(task_id), worker_id, attempt)
        self.reports[number] = values, code
        return code

    def settle(self, kind: str, task: Task | None, worker_id: str | None, attempt: int) -> str:
        if task is None:
            return "unknown_task"
        if task.status in ("assigned", "completed") and is_held_by(task, worker_id, attempt):
            if kind == "done":
                if task.status == "completed":
                    self.record("problem", task, None)
                self.complete(task.id, Report(worker_id), attempt, possible=False)
                return "done"
            if task.status == "assigned" and kind == "give_back":
                self.release(task.id)
                return "given_back"
            if task.status == "assigned":
                self.record("problem", task, None)
                return "problem_noted"
        return self.settle_late(kind, task, worker_id, attempt)

    def settle_late(self, kind: str, task: Task, worker_id: str | None, attempt: int) -> str:
        states = (*CLAIMS, "released", "completed", "cancelled")
        history = [each for each in self.events if each.task_id == task.id and each.kind in states]
        claims = [each for each in history if each.kind in CLAIMS and each.attempt == attempt]
        if not claims or claims[0].worker_id != worker_id:
            return "unknown_task"
        first, *_, last = history[history.index(claims[0]) + 1 :] * 2
        code = last.kind if last.kind in ("completed", "cancelled") else first.kind
        if code == "completed":
            code = "already_done" if last.worker_id == worker_id else "done_by_other"
        if kind == "done" and replace(claims[0], kind="late_report") not in self.events:
            self.record_late_report(claims[0])
        elif kind != "give_back" or code not in ("released", "already_done"):
            self.events.append(replace(claims[0], kind="problem"))
        return code

    def cancel(self, task_id: int) -> Task:
        return self.change("cancelled", self.open_task(task_id), status="cancelled", lease=None)

    # Time passes

    def sweep(self) -> tuple[int, ...]:
        """Ageing is off; there are no sessions, sign-ins, codes, reports, deliveries or mail."""
        due = [each.id for each in self.tasks.values() if each.lease == "out"]
        expired = [each for each in self.suggestions.values() if each.expires_at == PAST]
        old = [name for name, key in self.keys.items() if key.expired]
        for task_id in due:
            self.release(task_id)
        for suggestion in expired:
            self.remove("expired", suggestion)
        for name in old:
            del self.keys[name]
        return len(due), 0, len(expired), len(old), 0, 0, 0, 0, 0, 0

    def decisions_grow_old(self) -> None:
        self.rejections = dict.fromkeys(self.rejections)
        self.tasks = {id: replace(task, approval=None) for id, task in self.tasks.items()}

    def lease_runs_out(self, task_id: int) -> None:
        task = self.tasks.get(task_id)
        if task and task.lease:
            before = task.assigned_at - LONG_AGO
            self.tasks[task_id] = replace(task, lease="out", assigned_at=before)

    def suggestion_expires(self, suggestion_id: int) -> None:
        if suggestion_id in self.suggestions:
            suggestion = self.suggestions[suggestion_id]
            self.suggestions[suggestion_id] = replace(suggestion, expires_at=PAST)

    def key_grows_old(self, actor: str, key: str) -> None:
        if (actor, key) in self.keys:
            self.keys[actor, key] = replace(self.keys[actor, key], expired=True)

    def prune(self, task_id: int) -> None:
        """Delete an ended task. Its history stays."""
        if task_id in self.tasks and self.tasks[task_id].status not in OPEN:
            del self.tasks[task_id]
