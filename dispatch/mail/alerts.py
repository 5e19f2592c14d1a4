"""The text of alerts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..models import MailAlert, Problem, Station, WebhookType
from ..texts import isolated, printable
from .content import Content, link, render

SHOWN = 50
ENDS = ("from_station_id", "to_station_id")
TEXT_SHOWN = 300
TITLES: dict[str, str] = {
    WebhookType.TASK_OVERDUE: "Task {task_id} is overdue",
    WebhookType.TASK_RELEASED: "Task {task_id} is ready again: its lease ended",
    WebhookType.TASK_LATE_REPORT: "Late report on task {task_id}",
    WebhookType.TASK_PROBLEM: "Problem with task {task_id}",
    WebhookType.TASK_COMPLETED: "Task {task_id} is completed",
    WebhookType.TASK_WITHOUT_CREW: "No crew can take task {task_id}",
    WebhookType.SUGGESTION_APPROVED: "Suggestion {suggestion_id} became task {task_id}",
    WebhookType.SUGGESTION_REJECTED: "Suggestion {suggestion_id} was rejected",
    WebhookType.SUGGESTION_URGENT: "Suggestion {suggestion_id} is urgent",
    WebhookType.FEED_FAILING: "The {kind} feed of {system} fails",
    WebhookType.FEED_RECOVERED: "The {kind} feed of {system} works again",
    WebhookType.CLUSTER_STARTED: "All stations around {station} are {kind}",
    WebhookType.CLUSTER_ENDED: "Not all stations around {station} are {kind} any more",
}
# Shown below the title, by the key in the data or in the event's details.
FACTS = {
    "worker_id": "Crew",
    "area": "Area",
    "assigned_at": "Since",
    "started_at": "Since",
    "ended_at": "Until",
    "problems": "Problem",
    "moved_qty": "Bikes moved",
    "note": "Note",
    "why": "Why",
    "rejection": "Rejected because",
    "trouble": "Error",
    "reason": "Reason",
    "source": "Source",
    "actor": "By",
}


@dataclass(frozen=True)
class Alert:
    """One alert as it is shown. `url`: empty without a page. `move`: empty without a move."""

    at: datetime
    title: str
    url: str
    move: str
    facts: Sequence[tuple[str, str]]


def alerts_content(alerts: Sequence[MailAlert]) -> Content:
    """`alerts`: at least one."""
    names = names_of_stations(alerts)
    shown = [describe(each, names) for each in alerts[:SHOWN]]
    subject = shown[0].title if len(alerts) == 1 else f"{len(alerts)} alerts"
    context = {"alerts": shown, "more": len(alerts) - len(shown), "board": link("board:page")}
    return render("alerts", subject, context)


def describe(alert: MailAlert, names: Mapping[int, str]) -> Alert:
    data = alert.data
    words = defaultdict(str, {key: isolated(shown(value)) for key, value in data.items()})
    words["station"] = station_of(data.get("station_id"), names)
    return Alert(
        at=timezone.localtime(alert.at),
        title=TITLES[alert.type].format_map(words),
        url=page_of(data),
        move=move_of(data, names),
        facts=list(facts_of(data)),
    )


def page_of(data: Mapping[str, Any]) -> str:
    if data.get("task_id"):
        return link("admin:dispatch_task_change", data["task_id"])
    if data.get("suggestion_id") and "move" not in data:
        return link("admin:dispatch_suggestion_change", data["suggestion_id"])
    if "trouble" in data:
        return link("admin:dispatch_stationfeed_changelist")
    if data.get("station_id"):
        return link("admin:dispatch_station_change", data["station_id"])
    return ""


def facts_of(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    details = data.get("details")
    known = {**data, **details} if isinstance(details, dict) else data
    for key, label in FACTS.items():
        if text := shown(known.get(key)):
            yield label, text


def shown(value: Any) -> str:
    """Return the value on one line, cut to size. Codes of problems become words."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    if value in Problem.values:
        return str(Problem(value).label)
    text = printable(str(value), " ")
    if moment := moment_of(text):
        return f"{moment:%Y-%m-%d %H:%M}"
    return text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 1]}…"


def moment_of(text: str) -> datetime | None:
    """Return the local time. None: the text is no time with a zone, or too far off."""
    try:
        moment = parse_datetime(text)
        return timezone.localtime(moment) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def move_of(data: Mapping[str, Any], names: Mapping[int, str]) -> str:
    move = data.get("move", data)
    ends = [move.get(key) for key in ENDS]
    if None in ends:
        return ""
    source, target = (station_of(end, names) for end in ends)
    return f"{shown(move.get('qty'))} bikes from {source} to {target}"


def station_of(number: Any, names: Mapping[int, str]) -> str:
    return isolated(names.get(number) or f"#{number}")


def names_of_stations(alerts: Sequence[MailAlert]) -> dict[int, str]:
    moves = [alert.data.get("move", alert.data) for alert in alerts]
    numbers = {move.get(key) for move in moves for key in (*ENDS, "station_id")} - {None}
    stations = Station.objects.filter(pk__in=numbers).values_list("id", "name")
    return {number: printable(name, " ") for number, name in stations}
