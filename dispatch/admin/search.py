"""The search in the header: stations, tasks, suggestions and crews."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..models import ApiToken, Crew, Station, Suggestion, Task, TaskEvent
from ..overview.station_search import is_named, search_stations
from ..overview.station_views import StationView, read_stations
from ..services.suggestions import DECIDED, describe_decision
from ..texts import isolated, printable
from .routes import attach_names

MAX_LENGTH = 100
HITS_SHOWN = 20
# "12", "#12", "task 12", "crew van-3"
QUERY = re.compile(r"(?:(station|task|suggestion|crew)s?\b)?\s*#?\s*(.*)", re.IGNORECASE)
# As many digits as a bigint has.
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class Query:
    """`kind`: the only kind to find; empty: any kind."""

    kind: str
    text: str

    @classmethod
    def parse(cls, text: str) -> "Query":
        line = " ".join(printable(text, " ")[:MAX_LENGTH].split())
        found = QUERY.fullmatch(line)
        kind, rest = found.groups() if found else ("", line)
        if not rest:
            # "Station" alone may be part of a name.
            return cls("", line)
        return cls((kind or "").lower(), rest)

    @property
    def number(self) -> int | None:
        return int(self.text) if NUMBER.fullmatch(self.text) else None

    def may_be(self, kind: str) -> bool:
        return self.kind in ("", kind)


@dataclass(frozen=True)
class Hit:
    title: str
    url: str
    detail: str = ""


@dataclass(frozen=True)
class Group:
    """`more_url`: the list that shows all hits, if there are more."""

    title: str
    hits: list[Hit]
    more_url: str = ""


@require_safe
def search_page(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "")
    query = Query.parse(text)
    groups = [group for group in find(request, query) if group.hits] if query.text else []
    if len(groups) == 1 and len(groups[0].hits) == 1:
        return HttpResponseRedirect(groups[0].hits[0].url)
    context = {
        **admin.site.each_context(request),
        "title": "Search",
        "query": text[:MAX_LENGTH],
        "words": urlencode({"q": query.text}),
        "groups": groups,
    }
    return TemplateResponse(request, "admin/dispatch/search.html", context)


def find(request: HttpRequest, query: Query) -> Iterator[Group]:
    may = request.user.has_perm
    if query.may_be("station") and may("dispatch.view_station"):
        yield find_stations(query)
    if query.may_be("task") and may("dispatch.view_task"):
        yield Group("Tasks", [*find_tasks(query)])
    if query.may_be("suggestion") and may("dispatch.view_suggestion"):
        yield Group("Suggestions", [*find_suggestions(query)])
    if query.may_be("crew") and may("dispatch.view_task"):
        yield Group("Crews", [*find_crews(request, query)])


def find_stations(query: Query) -> Group:
    """Find stations by words, or one station by its number or short name."""
    if query.number is None:
        found = search_stations(Station.objects.all(), query.text)
    else:
        found = Station.objects.filter(is_named(query.text)).order_by("id")
    ids = list(found.values_list("pk", flat=True)[: HITS_SHOWN + 1])
    views = read_stations(timezone.now(), Station.objects.filter(pk__in=ids))
    return Group(
        "Stations",
        [station_hit(views[pk]) for pk in ids[:HITS_SHOWN]],
        list_url("station", query.text) if len(ids) > HITS_SHOWN else "",
    )


def station_hit(station: StationView) -> Hit:
    area = f"{isolated(station.area)} · " if station.area else ""
    return Hit(
        station.name,
        reverse("admin:dispatch_station_change", args=[station.id]),
        f"{area}{station.summary} · station {station.id}",
    )


def find_tasks(query: Query) -> Iterator[Hit]:
    tasks = list(Task.objects.filter(pk=query.number)) if query.number else []
    attach_names(tasks)
    for task in tasks:
        crew = f" · {isolated(task.worker_id)}" if task.worker_id else ""
        url = reverse("admin:dispatch_task_change", args=[task.pk])
        yield Hit(str(task), url, f"{task.status}{crew} · {in_words(task)}")


def find_suggestions(query: Query) -> Iterator[Hit]:
    """The open suggestion, or the decision on it."""
    if not query.number:
        return
    url = reverse("admin:dispatch_suggestion_change", args=[query.number])
    decisions = TaskEvent.objects.filter(suggestion_id=query.number, kind__in=DECIDED)
    if suggestion := Suggestion.objects.filter(pk=query.number).first():
        attach_names([suggestion])
        yield Hit(str(suggestion), url, in_words(suggestion))
    elif decision := decisions.order_by("id").last():
        if decision.task_id:
            url = reverse("admin:dispatch_task_change", args=[decision.task_id])
        yield Hit(f"Suggestion {query.number}", url, describe_decision(query.number, decision))


def in_words(move: Any) -> str:
    route = f"{isolated(move.from_name)} → {isolated(move.to_name)}"
    return f"{move.qty} bike{pluralize(move.qty)}, {route}"


def find_crews(request: HttpRequest, query: Query) -> Iterator[Hit]:
    """Crews with the text in their name: of the roster, of open tasks and of tokens. A crew whose
    tasks have all ended needs its full name."""
    named = Q(worker_id__icontains=query.text)
    held = Task.objects.assigned().filter(named).values_list("worker_id", flat=True)
    tokens = ApiToken.objects.filter(named, revoked_at=None).values_list("worker_id", flat=True)
    names = {name for name in held.union(tokens) if name}
    if Task.objects.filter(worker_id=query.text).exists():
        names.add(query.text)
    roster = roster_of(query.text) if request.user.has_perm("dispatch.view_crew") else {}
    for name in sorted(names | roster.keys())[:HITS_SHOWN]:
        crew = roster.get(name)
        if crew is None:
            yield Hit(name, list_url("task", name))
        else:
            url = reverse("admin:dispatch_crew_change", args=[crew.pk])
            yield Hit(name, url, isolated(crew.name))


def roster_of(text: str) -> dict[str, Crew]:
    crews = Crew.objects.filter(Q(worker_id__icontains=text) | Q(name__icontains=text))
    return {crew.worker_id: crew for crew in crews.order_by("worker_id")[:HITS_SHOWN]}


def list_url(model: str, words: str) -> str:
    return f"{reverse(f'admin:dispatch_{model}_changelist')}?{urlencode({'q': words})}"
