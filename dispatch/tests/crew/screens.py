"""Every screen of the crews' page in every state, drawn from views instead of a service."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .views import CREW, MESSAGE, NOW, ago, answer, ended, entry, station, tapped, task, usual_view

FAKE_ENGINE = Path(__file__).with_name("fake_engine.js").read_text()
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
ANDROID = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile"


@dataclass
class Screen:
    """`view` changes the usual view, `script` runs before the page's own, `later` is a change that
    arrives when the page is open, `taps` are tapped one after the other, and `shows` appears
    last."""

    view: dict[str, Any] = field(default_factory=dict)
    path: str = "/crew/"
    taps: tuple[str, ...] = ()
    user_agent: str = ANDROID
    script: str = ""
    later: dict[str, Any] = field(default_factory=dict)
    shows: str = "#title"


FREE: dict[str, Any] = {"tasks": []}
NO_TASK = FREE | {"claim": "none", "waiting": 0}
STRANGER = FREE | {"signedIn": False, "crew": None, "device": None, "day": None, "waiting": None}
JOIN = "/crew/join#BCDF-GHJK"
DONE = "/crew/#done/4812"
SAID = "#said:not(:empty)"
NO_WORKER = "delete Navigator.prototype.serviceWorker;"
NO_CLIPBOARD = "Clipboard.prototype.writeText = () => Promise.reject();"
PERSISTENT = "StorageManager.prototype.persisted = async () => true;"

WAITING = [entry("waiting"), entry("waiting", "give_back", 3)]
KEPT = {"worker_id": "van-5", "at": ago(minutes=20), "kept": True}
ANSWERS = [
    entry("settled", id="done", answer=answer("done")),
    entry("settled", "give_back", answer=answer("given_back")),
    entry("settled", "problem", answer=answer("problem_noted")),
    *[
        entry("settled", id=code, answer=answer(code, **KEPT))
        for code in ("reassigned", "cancelled", "done_by_other")
    ],
    entry("settled", id="released", answer=answer("released", **(KEPT | {"kept": False}))),
    entry("settled", id="already", answer=answer("already_done")),
    *[
        entry("refused", id=code, answer=answer(code))
        for code in ("unknown_task", "invalid", "update")
    ],
]
REFUSED = entry("refused", answer=answer("invalid"))
ENDS = ["reassigned", "cancelled", "released", "done_by_other", "done"]

URGENT = task(
    qty=1,
    priority=5,
    lease_expires_at=ago(minutes=-20),
    origin=station(100, "Market St at 10th St", 0, 27),
    target=station(200, "San Francisco Caltrain", 30, 0, closed=True),
)
UNNAMED = task(
    reason="",
    km=None,
    lease_expires_at=ago(minutes=5),
    messages=[MESSAGE],
    problems=[{"problems": ["blocked", "other"], "note": "Obras", "at": ago(minutes=9)}],
    origin=station(100, None, None, None),
    target=station(200, None, 1, 1, lat=None, lon=None),
)
SHORT = task(
    lease_expires_at=ago(days=-2),
    origin=station(100, "Valencia St at 24th St", 3, 20),
    target=station(200, "Duboce Park", 20, 3),
)
NO_ROOM = task(
    qty=2,
    lease_expires_at=None,
    origin=station(100, "Valencia St at 24th St", 1, 20),
    target=station(200, "Duboce Park", 20, 0),
)

SCREENS = {
    "opening": Screen(STRANGER | {"signedIn": None}),
    "free": Screen(FREE),
    "free-one": Screen(FREE | {"waiting": 1, "day": {"tasks": 1, "bikes": 1}}),
    "free-many": Screen(FREE | {"waiting": 100}),
    "free-areas": Screen(FREE | {"waiting": 0, "crew": CREW | {"areas": ["Mission", "SoMa"]}}),
    "asking": Screen(FREE | {"claim": "asking"}),
    "none": Screen(NO_TASK | {"retryAt": tapped(-0.5)}),
    "none-now": Screen(NO_TASK | {"retryAt": tapped(1)}),
    "none-later": Screen(NO_TASK | {"retryAt": tapped(-10)}),
    "lost": Screen(FREE | {"claim": "lost", "connection": "lost"}),
    "inactive": Screen(FREE | {"claim": "inactive"}),
    "first-sent": Screen(FREE | {"connection": "lost", "outbox": WAITING[:1], "unsent": 1}),
    "task": Screen(),
    "task-iphone": Screen(user_agent=IPHONE),
    "task-urgent": Screen({"tasks": [URGENT]}),
    "task-unnamed": Screen({"tasks": [UNNAMED]}, taps=("#message-4812 .button",)),
    "task-short": Screen({"tasks": [SHORT]}),
    "task-no-room": Screen({"tasks": [NO_ROOM]}),
    "several": Screen(
        {"tasks": [task(), task(4813, qty=3), task(4814, qty=12, messages=[MESSAGE])]}
    ),
    "one-more": Screen({"tasks": [task(), task(4813, qty=1)]}),
    "message": Screen({"tasks": [task(messages=[MESSAGE])]}),
    "assigned": Screen({"tasks": [task(by_dispatch=True)]}),
    "raised": Screen(later={"tasks": [task(priority=9)]}),
    "lowered": Screen(later={"tasks": [task(priority=-1)]}),
    "ended": Screen(
        FREE | {"ended": [ended(code, 4820 + place) for place, code in enumerate(ENDS)]}
    ),
    "ended-unknown": Screen(
        FREE | {"ended": [ended("unknown", 4820, at=None, task=None, reason="Obras")]}
    ),
    "ended-open": Screen(path=DONE, later={"tasks": [], "ended": [ended("reassigned", 4812)]}),
    "here": Screen(taps=(".lease .button",)),
    "here-lost": Screen(taps=(".lease .button",), script="fake.refusal = {code: 'no_network'};"),
    "offline": Screen({"connection": "lost", "outbox": WAITING, "stateAt": tapped(31)}),
    "offline-new": Screen({"connection": "lost", "stateAt": None}),
    "memory": Screen({"storage": "memory"}),
    "update": Screen({"updateReady": True}),
    "foreign": Screen(
        {"foreign": [{"worker_id": "van-9", "count": 1}, {"worker_id": "van-8", "count": 3}]}
    ),
    "signed-out": Screen({"signedIn": False, "outbox": WAITING, "unsent": 2}),
    "signed-out-free": Screen(FREE | {"signedIn": False}),
    "signed-out-one": Screen({"signedIn": False, "outbox": WAITING[:1], "unsent": 1}),
    "signed-out-sent": Screen({"signedIn": False}),
    "saved": Screen(FREE | {"outbox": [entry("held", minutes=0)]}),
    "answered": Screen(FREE | {"outbox": [ANSWERS[3], REFUSED]}),
    "done": Screen(path=DONE),
    "done-less": Screen(path=DONE, taps=(".step", "fieldset .chip", "fieldset .chip >> nth=3")),
    "done-more": Screen(path=DONE, taps=(".step >> nth=1", "#save")),
    "done-more-than-one": Screen({"tasks": [task(qty=1)]}, DONE, (".step >> nth=1", "#save")),
    "give-back": Screen(path="/crew/#give_back/4812"),
    "give-back-chosen": Screen(path="/crew/#give_back/4812", taps=(".chip",)),
    "problem-empty": Screen(path="/crew/#problem/4812"),
    "problem": Screen(path="/crew/#problem/4812", taps=(".chip >> nth=3",)),
    "outbox": Screen(
        {
            "outbox": [
                *WAITING,
                *ANSWERS,
                entry("held", "problem", 0),
                entry("sending", task=None),
                entry("sending", id="all", task=None, values={"moved_qty": None}),
            ]
        },
        "/crew/#outbox",
    ),
    "outbox-copy": Screen({"outbox": WAITING}, "/crew/#outbox", ("#copy-text",), shows=SAID),
    "outbox-no-copy": Screen(
        {"outbox": WAITING}, "/crew/#outbox", ("#copy-text",), script=NO_CLIPBOARD, shows=SAID
    ),
    "outbox-remove": Screen({"outbox": [REFUSED]}, "/crew/#outbox", (".entry .button >> nth=1",)),
    "outbox-empty": Screen(path="/crew/#outbox"),
    "help": Screen(path="/crew/#help", script=PERSISTENT),
    "help-online": Screen(
        {"canWorkOffline": False, "stateAt": None}, "/crew/#help", ("#sign-out",)
    ),
    "sign-out": Screen({"outbox": WAITING}, "/crew/#help", ("#sign-out",)),
    "sign-out-one": Screen({"outbox": WAITING[:1]}, "/crew/#help", ("#sign-out",)),
    "join": Screen(STRANGER, "/crew/join"),
    "join-malformed": Screen(STRANGER, "/crew/join", ("[type=submit]",)),
    "join-confirm": Screen(STRANGER, JOIN),
    "join-checking": Screen(STRANGER, JOIN, script="fake.slow = 'checkCode';"),
    "join-joining": Screen(STRANGER, JOIN, (".primary",), script="fake.slow = 'join';"),
    "join-other": Screen({"crew": CREW | {"worker_id": "van-7"}}, JOIN),
    "join-iphone": Screen(STRANGER, JOIN, user_agent=IPHONE),
    "join-iphone-typed": Screen(STRANGER, "/crew/join", user_agent=IPHONE),
    "join-elsewhere": Screen(STRANGER, JOIN, script=NO_WORKER),
    **{
        f"join-{code}": Screen(
            STRANGER, JOIN, script=f"fake.refusal = {{code: '{code}', retryAfter: 300}};"
        )
        for code in ("wrong_code", "too_many_tries", "no_network", "error")
    },
}


def open_screen(page: Any, url: str, name: str, language: str) -> None:
    """Open a screen in a page whose browser prefers the language."""
    screen = SCREENS[name]
    view = usual_view() | screen.view
    if view["crew"]:
        view["crew"] = view["crew"] | {"language": language}
    page.add_init_script(
        f"Object.defineProperty(navigator, 'userAgent', {{get: () => {screen.user_agent!r}}});"
        f"globalThis.fake = {{view: {json.dumps(view)}}}; {screen.script}"
    )
    page.route(
        re.compile(r"/crew/engine\.js$"),
        lambda route: route.fulfill(body=FAKE_ENGINE, content_type="text/javascript"),
    )
    page.clock.set_fixed_time(NOW)
    page.goto(url + screen.path)
    page.locator("#title").wait_for(state="attached")
    if screen.later:
        change = json.dumps(screen.later | {"stateAt": tapped(0)})
        page.evaluate(f"fake.show({change})")
    for selector in screen.taps:
        page.locator(selector).first.click()
    page.locator(screen.shows).wait_for(state="attached")
