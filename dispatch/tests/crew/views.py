"""Views that the engine gives to the screens of the crews' page, made up for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

# 14:30 in San Francisco.
NOW = datetime(2026, 6, 1, 21, 30, tzinfo=UTC)


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).isoformat()


def tapped(minutes: float) -> float:
    return (NOW.timestamp() - minutes * 60) * 1000


def station(
    number: int, name: str | None, bikes: int | None, docks: int | None, **more: Any
) -> Any:
    return {
        "id": number,
        "name": name,
        "lat": 37.7955,
        "lon": -122.3937,
        "bikes": bikes,
        "docks": docks,
        "counted_at": None if bikes is None else ago(minutes=2),
        "closed": False,
        **more,
    }


def task(number: int = 4812, origin: Any = None, target: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "attempt": 1,
        "qty": 6,
        "most": 20,
        "reason": "Se esperan 7 salidas",
        "priority": 0,
        "created_at": ago(minutes=38),
        "assigned_at": ago(minutes=12),
        "lease_expires_at": ago(minutes=-95),
        "by_dispatch": False,
        "km": 1.24,
        "from": origin or station(100, "Embarcadero BART", 17, 2),
        "to": target or station(200, "Ferry Building Plaza", 2, 25),
        "messages": [],
        "problems": [],
        "seen_message_id": None,
        "seen": True,
        "report": None,
        **more,
    }


def entry(status: str, kind: str = "done", minutes: float = 12, **more: Any) -> dict[str, Any]:
    values = {
        "done": {"moved_qty": 4, "note": "", "problems": ["station_full"]},
        "give_back": {"reason": "End of shift", "problems": []},
        "problem": {"note": "", "problems": ["blocked"]},
    }[kind]
    return {
        "id": f"{status}-{kind}",
        "kind": kind,
        "task_id": 4800,
        "task": task(4800),
        "values": values,
        "tappedAt": tapped(minutes),
        "status": status,
        "answer": None,
        "crew": "van-3",
        **more,
    }


def answer(code: str, **values: Any) -> dict[str, Any]:
    return {"code": code, "detail": "", **values}


MESSAGE = {"id": 7, "text": "Los candados de atrás", "at": ago(minutes=3)}
CREW: dict[str, Any] = {
    "worker_id": "van-3",
    "name": "Turno 3",
    "language": "en",
    "areas": [],
    "capacity": 20,
}


def usual_view() -> dict[str, Any]:
    return {
        "signedIn": True,
        "crew": CREW,
        "device": {"id": 5, "label": "Android, Chrome 140"},
        "day": {"tasks": 9, "bikes": 61},
        "zone": "America/Los_Angeles",
        "waiting": 4,
        "tasks": [task()],
        "ended": [],
        "stateAt": tapped(1),
        "connection": "ok",
        "clockOffset": 0,
        "outbox": [],
        "unsent": 0,
        "foreign": [],
        "claim": "idle",
        "retryAt": None,
        "storage": "ok",
        "updateReady": False,
        "canWorkOffline": True,
        "version": "3f9ac21b7d40",
    }


def ended(code: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "task_id": number,
        "code": code,
        "at": ago(minutes=4),
        "worker_id": "van-5",
        "reason": "",
        "task": task(number),
        **more,
    }
