"""Every screen of the crews' page, drawn from views instead of a service."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

FAKE_ENGINE = Path(__file__).with_name("fake_engine.js").read_text()
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


@dataclass
class Screen:
    """`view` changes the usual view; `taps` are the ids or selectors tapped one after the other."""

    view: dict[str, Any] = field(default_factory=dict)
    path: str = "/crew/"
    taps: tuple[str, ...] = ()
    user_agent: str | None = None
    script: str = ""


def ago(**delta: float) -> str:
    return (timezone.now() - timedelta(**delta)).isoformat()


def tapped(minutes: float) -> float:
    return datetime.now().timestamp() * 1000 - minutes * 60_000


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


def task(number: int = 4812, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "attempt": 1,
        "qty": 6,
        "most": 20,
        "reason": "7 expected departures, 2 bikes left",
        "priority": 0,
        "created_at": ago(minutes=38),
        "assigned_at": ago(minutes=12),
        "lease_expires_at": ago(minutes=-95),
        "by_dispatch": False,
        "km": 1.24,
        "from": station(100, "Embarcadero BART", 17, 2),
        "to": station(200, "Ferry Building Plaza", 2, 25),
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
CREW = {"worker_id": "van-3", "name": "Turno 3", "language": "en", "areas": [], "capacity": 20}


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


STRANGER: dict[str, Any] = {
    "signedIn": False, "crew": None, "device": None, "day": None, "tasks": [], "waiting": None
}  # fmt: skip
FREE: dict[str, Any] = {"tasks": []}
WAITING = [entry("waiting"), entry("waiting", "give_back", 3)]
EN_SCRIPT_NO_WORKER = "delete Navigator.prototype.serviceWorker;"


def answered(code: str, status: str = "settled", **values: Any) -> dict[str, Any]:
    return entry(status, answer=answer(code, **values), id=f"{status}-{code}")


KEPT = {"worker_id": "van-5", "at": ago(minutes=20), "kept": True}
ANSWERS = [
    answered("done"),
    entry("settled", "give_back", answer=answer("given_back")),
    entry("settled", "problem", answer=answer("problem_noted")),
    answered("reassigned", **KEPT),
    answered("cancelled", **KEPT),
    answered("released", **(KEPT | {"kept": False})),
    answered("done_by_other", **KEPT),
    answered("already_done"),
    answered("unknown_task", "refused"),
    answered("invalid", "refused"),
    answered("update", "refused"),
]


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


ENDS = ["reassigned", "cancelled", "released", "done_by_other", "done"]
SCREENS: dict[str, Screen] = {
    "opening": Screen(STRANGER | {"signedIn": None}),
    "free": Screen(FREE),
    "free-one": Screen(FREE | {"waiting": 1, "day": {"tasks": 1, "bikes": 1}}),
    "free-areas": Screen(FREE | {"waiting": 0, "crew": CREW | {"areas": ["Mission", "SoMa"]}}),
    "asking": Screen(FREE | {"claim": "asking"}),
    "none": Screen(FREE | {"claim": "none", "waiting": 0, "retryAt": tapped(-0.5)}),
    "none-now": Screen(FREE | {"claim": "none", "waiting": 0, "retryAt": tapped(1)}),
    "none-later": Screen(FREE | {"claim": "none", "waiting": 0, "retryAt": tapped(-10)}),
    "lost": Screen(FREE | {"claim": "lost", "connection": "lost"}),
    "inactive": Screen(FREE | {"claim": "inactive"}),
    "first-sent": Screen(FREE | {"connection": "lost", "outbox": WAITING[:1], "unsent": 1}),
    "task": Screen(),
    "task-urgent": Screen(
        {
            "tasks": [
                task(
                    qty=1,
                    priority=5,
                    lease_expires_at=ago(minutes=-20),
                    **{
                        "from": station(100, "Market St at 10th St", 0, 27),
                        "to": station(200, "San Francisco Caltrain", 30, 0, closed=True),
                    },
                )
            ]
        }
    ),
    "task-unnamed": Screen(
        {
            "tasks": [
                task(
                    reason="",
                    km=None,
                    lease_expires_at=ago(minutes=5),
                    messages=[MESSAGE],
                    problems=[{"problems": ["blocked"], "note": "Obras", "at": ago(minutes=9)}],
                    **{
                        "from": station(100, None, None, None),
                        "to": station(200, None, 1, 1, lat=None, lon=None),
                    },
                )
            ]
        },
        taps=("#message-4812 .button",),
    ),
    "short": Screen(
        {
            "tasks": [
                task(
                    lease_expires_at=None,
                    **{
                        "from": station(100, "Valencia St at 24th St", 3, 20),
                        "to": station(200, "Duboce Park", 20, 3),
                    },
                )
            ]
        }
    ),
    "several": Screen(
        {"tasks": [task(), task(4813, qty=3), task(4814, qty=12, messages=[MESSAGE])]}
    ),
    "one-more": Screen({"tasks": [task(), task(4813, qty=1)]}),
    "message": Screen({"tasks": [task(messages=[MESSAGE])]}),
    "assigned": Screen({"tasks": [task(by_dispatch=True)]}),
    "raised": Screen(script="fake.change = {tasks: [{...fake.view.tasks[0], priority: 9}]};"),
    "lowered": Screen(script="fake.change = {tasks: [{...fake.view.tasks[0], priority: -1}]};"),
    "ended": Screen(
        {"tasks": [], "ended": [ended(code, 4820 + i) for i, code in enumerate(ENDS)]}
        | {"waiting": 2}
    ),
    "ended-unknown": Screen(
        {"tasks": [], "ended": [ended("unknown", 4820, at=None, task=None, reason="Obras")]}
    ),
    "offline": Screen(
        {"connection": "lost", "outbox": WAITING, "unsent": 2, "stateAt": tapped(31)}
    ),
    "offline-new": Screen({"connection": "lost", "stateAt": None}),
    "memory": Screen({"storage": "memory"}),
    "update": Screen({"updateReady": True}),
    "foreign": Screen(
        {"foreign": [{"worker_id": "van-9", "count": 1}, {"worker_id": "van-8", "count": 3}]}
    ),
    "signed-out": Screen({"signedIn": False, "outbox": WAITING, "unsent": 2}),
    "signed-out-one": Screen({"signedIn": False, "outbox": WAITING[:1], "unsent": 1}),
    "signed-out-sent": Screen({"signedIn": False}),
    "saved": Screen(FREE | {"outbox": [entry("held", minutes=0)]}),
    "done": Screen(path="/crew/#done/4812"),
    "done-less": Screen(
        path="/crew/#done/4812", taps=(".step", ".chip >> nth=2", ".chip >> nth=5")
    ),
    "done-more": Screen(path="/crew/#done/4812", taps=(".step >> nth=1", "#save")),
    "done-more-than-one": Screen(
        {"tasks": [task(qty=1)]}, "/crew/#done/4812", (".step >> nth=1", "#save")
    ),
    "give-back": Screen(path="/crew/#give_back/4812"),
    "give-back-chosen": Screen(path="/crew/#give_back/4812", taps=(".chip",)),
    "problem": Screen(path="/crew/#problem/4812", taps=(".chip >> nth=3",)),
    "outbox": Screen(
        {"outbox": [*WAITING, entry("held", "problem", 0), *ANSWERS, entry("sending", task=None)]},
        "/crew/#outbox",
    ),
    "outbox-remove": Screen(
        {"outbox": [answered("invalid", "refused")]},
        "/crew/#outbox",
        (".entry .button", ".actions .button >> text=/Copy|Copiar/"),
    ),
    "outbox-empty": Screen(path="/crew/#outbox"),
    "help": Screen(path="/crew/#help"),
    "help-online": Screen(
        {"canWorkOffline": False, "stateAt": None}, "/crew/#help", ("#sign-out",)
    ),
    "sign-out": Screen({"outbox": WAITING}, "/crew/#help", ("#sign-out",)),
    "sign-out-one": Screen({"outbox": WAITING[:1]}, "/crew/#help", ("#sign-out",)),
    "join": Screen(STRANGER, "/crew/join"),
    "join-malformed": Screen(STRANGER, "/crew/join", ("[type=submit]",)),
    "join-wrong": Screen(
        STRANGER, "/crew/join#BCDF-GHJK", script="fake.refusal = {code: 'wrong_code'};"
    ),
    "join-limited": Screen(
        STRANGER,
        "/crew/join#BCDF-GHJK",
        script="fake.refusal = {code: 'too_many_tries', retryAfter: 300};",
    ),
    "join-lost": Screen(
        STRANGER, "/crew/join#BCDF-GHJK", script="fake.refusal = {code: 'no_network'};"
    ),
    "join-confirm": Screen(STRANGER, "/crew/join#BCDF-GHJK"),
    "join-other": Screen({"crew": CREW | {"worker_id": "van-7"}}, "/crew/join#BCDF-GHJK"),
    "join-iphone": Screen(STRANGER, "/crew/join#BCDF-GHJK", user_agent=IPHONE),
    "join-iphone-typed": Screen(STRANGER, "/crew/join", user_agent=IPHONE),
    "join-elsewhere": Screen(STRANGER, "/crew/join#BCDF-GHJK", script=EN_SCRIPT_NO_WORKER),
}


def open_screen(page: Any, url: str, name: str, language: str) -> None:
    """Open a screen in a page whose browser speaks the language."""
    screen = SCREENS[name]
    view = usual_view() | screen.view
    if view["crew"]:
        view["crew"] = view["crew"] | {"language": language}
    if screen.user_agent:
        page.add_init_script(
            f"Object.defineProperty(navigator, 'userAgent', {{get: () => {screen.user_agent!r}}});"
        )
    page.add_init_script(f"globalThis.fake = {{view: {json.dumps(view)}}}; {screen.script}")
    page.route(
        re.compile(r"/crew/engine\.js$"),
        lambda route: route.fulfill(body=FAKE_ENGINE, content_type="text/javascript"),
    )
    page.goto(url + screen.path)
    page.locator("#title").wait_for(state="attached")
    if "fake.change" in screen.script:
        page.evaluate("fake.show({...fake.change, stateAt: fake.view.stateAt + 1})")
    for selector in screen.taps:
        page.locator(selector).first.click()
