"""Run two operations in every possible order of their statements.

Each operation runs in its own thread, on its own connection. It stops at a gate before each
statement and before its COMMIT or ROLLBACK, until the scheduler lets it continue. While both are at
a gate, there is a choice: a depth-first search makes every sequence of choices. While one waits in
PostgreSQL for a lock of the other, there is none.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import partial
from typing import Any

import pgtrigger
from django.db import connection, connections, transaction

from dispatch.maintenance.invariants import violations
from dispatch.models import ClaimKey, CrewReport, Suggestion, Task, TaskEvent
from dispatch.services import Approval, IngestResult
from dispatch.services.proposals import ProposalResult

StopsAt = Callable[[str], bool]
PATIENCE = 60
# A deadlock is reported after 1 s, a lock that is never released after lock_timeout.
SESSION = "SET lock_timeout = '30s'; SET synchronous_commit = off"


def every_statement(_: str) -> bool:
    return True


class State(Enum):
    RUNNING = "running, or waiting for a lock"
    AT_GATE = "at its gate"
    ENDED = "ended"


@dataclass
class Run:
    """One schedule: its choices, the result or error of each side, and the steps in order."""

    choices: list[int]
    results: list[Any] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.steps)


class Side:
    """One of the two operations, in its own thread."""

    def __init__(self, moved: threading.Condition, stops_at: StopsAt) -> None:
        self.moved = moved
        self.stops_at = stops_at
        self.state = State.ENDED
        self.next_step = ""
        self.turn = threading.Semaphore(0)
        self.gates_are_open = False
        self.pool = ThreadPoolExecutor(1)
        self.pid = self.pool.submit(self._connect).result(PATIENCE)

    def start(self, operation: Callable[[], Any]) -> None:
        self.state = State.RUNNING
        self.pool.submit(self._run, operation)

    def let_go(self) -> None:
        self.state = State.RUNNING
        self.turn.release()

    def open_gates(self) -> None:
        self.gates_are_open = True
        self.turn.release()

    def close(self) -> None:
        self.pool.submit(connections.close_all).result(PATIENCE)
        self.pool.shutdown()

    def _connect(self) -> int:
        own = connections["default"]
        with own.cursor() as cursor:
            cursor.execute(SESSION)
        # Statements of a batch are sent one at a time if there is a wrapper: each has its gate.
        own.execute_wrappers.append(self._before_statement)
        # Django offers no hook for COMMIT and ROLLBACK.
        own.commit = self._before("COMMIT", own.commit)
        own.rollback = self._before("ROLLBACK", own.rollback)
        return own.connection.info.backend_pid

    def _run(self, operation: Callable[[], Any]) -> None:
        try:
            self.result = operation()
        except Exception as error:
            self.result = error
        self._enter(State.ENDED)

    def _before_statement(self, execute, sql, params, many, context):
        if self.stops_at(sql):
            self._stop(sql)
        return execute(sql, params, many, context)

    def _before(self, step: str, end: Callable[[], None]) -> Callable[[], None]:
        def stop_and_end() -> None:
            self._stop(step)
            end()

        return stop_and_end

    def _stop(self, step: str) -> None:
        if self.gates_are_open:
            return
        self.next_step = shortened(step)
        self._enter(State.AT_GATE)
        self.turn.acquire()

    def _enter(self, state: State) -> None:
        with self.moved:
            self.state = state
            self.moved.notify()


def shortened(sql: str) -> str:
    """The statement on one line, without its columns."""
    return re.sub(
        r"^(SELECT|INSERT INTO \S+) .*? (FROM|VALUES) ", r"\1 ... \2 ", " ".join(sql.split())
    )


class Scheduler:
    def __init__(self, stops_at: StopsAt) -> None:
        self.moved = threading.Condition()
        self.sides = [Side(self.moved, stops_at) for _ in range(2)]

    def run(self, operations: list[Callable[[], Any]], prescribed: list[int]) -> Run:
        """Make the prescribed choices. After them, always choose the first side."""
        run = Run([])
        for side, operation in zip(self.sides, operations, strict=True):
            side.start(operation)
            self._settle()
        while at_gate := self._those(State.AT_GATE):
            side = at_gate[0]
            if len(at_gate) == 2:
                made = len(run.choices)
                run.choices.append(prescribed[made] if made < len(prescribed) else 0)
                side = at_gate[run.choices[-1]]
            run.steps.append(f"{self.sides.index(side) + 1}: {side.next_step}")
            side.let_go()
            self._settle()
        assert run.choices[: len(prescribed)] == prescribed, "The choices led elsewhere."
        run.results = [side.result for side in self.sides]
        return run

    def _those(self, state: State) -> list[Side]:
        return [side for side in self.sides if side.state is state]

    def _settle(self) -> None:
        """Return when each side is at its gate, has ended, or waits for a lock."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with self.moved:
                self.moved.wait_for(lambda: not self._those(State.RUNNING), timeout=0.002)
                running, at_gate = self._those(State.RUNNING), self._those(State.AT_GATE)
            if not running or (len(at_gate) == 1 and self._holds_up(at_gate[0], running[0])):
                return
        raise AssertionError(f"{[side.state for side in self.sides]} after {PATIENCE} s.")

    def _holds_up(self, holder: Side, waiting: Side) -> bool:
        # pg_blocking_pids reads the lock table itself, not a snapshot of the statistics.
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s = ANY(pg_blocking_pids(%s))", [holder.pid, waiting.pid])
            return cursor.fetchone()[0]


@contextmanager
def scheduler(stops_at: StopsAt) -> Iterator[Scheduler]:
    made = Scheduler(stops_at)
    try:
        yield made
    finally:
        # Open both before closing one: one may wait for a lock of the other.
        for side in made.sides:
            side.open_gates()
        for side in made.sides:
            side.close()


def explore(
    prepare: Callable[[], Any],
    *operations: Callable[[Any], Any],
    stops_at: StopsAt = every_statement,
) -> Iterator[Run]:
    """Run every schedule of two operations, each on new rows from `prepare`.

    `stops_at`: True for a statement that has a gate. The others run together with the one before.
    """
    with scheduler(stops_at) as scheduled:
        prescribed: list[int] | None = []
        while prescribed is not None:
            delete_all_rows()
            rows = prepare()
            run = scheduled.run([partial(operate, rows) for operate in operations], prescribed)
            prescribed = next_in_depth(run.choices)
            yield run


def next_in_depth(choices: list[int]) -> list[int] | None:
    """Change the last choice of the first side to the second. None: all choices were made."""
    while choices and choices[-1] == 1:
        choices = choices[:-1]
    return [*choices[:-1], 1] if choices else None


def delete_all_rows() -> None:
    with transaction.atomic(), pgtrigger.ignore("dispatch.TaskEvent:event_is_append_only"):
        for model in (ClaimKey, CrewReport, TaskEvent, Suggestion, Task):
            model.objects.all().delete()


def in_words(result: Any) -> str:
    match result:
        case None:
            return "nothing"
        case Exception():
            return type(result).__name__
        case Suggestion():
            return "restored"
        case Approval():
            return "approved, warned" if result.warnings else "approved"
        case TaskEvent():
            return str(result.kind)
        case IngestResult():
            return ", ".join(f"{n} {what}" for what, n in asdict(result).items() if n)
        case Task():
            number = Task.objects.filter(id__lte=result.id).count()
            return f"task {number}" if result.changed else f"task {number} unchanged"
        case ProposalResult():
            return ", ".join(proposal.outcome for proposal in result.proposals)
        case _:
            return str(result)


def outcome() -> str:
    if found := violations():
        return f"violated: {', '.join(found)}"
    events = list(TaskEvent.objects.order_by("id"))
    proposed = [f"{one.qty} bikes proposed" for one in Suggestion.objects.order_by("id")]
    tasks = [
        f"{describe(task)}: {', '.join(each.kind for each in events if each.task_id == task.id)}"
        for task in Task.objects.order_by("id")
    ]
    return "; ".join(proposed + tasks + [each.kind for each in events if each.task_id is None])


def describe(task: Task) -> str:
    by = "to" if task.status == "assigned" else "by"
    holder = f" {by} {task.worker_id}" if task.worker_id else ""
    return f"{task.qty} bikes {task.status}{holder}"
