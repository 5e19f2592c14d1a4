"""The board's filters. The URL keeps them, so the page and its refreshes show the same rows."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict

from ..models import Suggestion, Task
from ..models.moves import MoveQuerySet
from ..models.suggestions import SuggestionQuerySet
from ..models.tasks import TaskQuerySet
from ..overview.roster import Roster
from ..overview.station_views import StationViews
from ..texts import printable

# The most rows of a list, and of one that the dispatcher asked to see in full.
SHOWN, ALL_SHOWN = 40, 500
MAX_LENGTH = 100
FITS, WARNED = "fits", "warned"
SUGGESTION_STATES = {FITS: "without warnings", WARNED: "with warnings"}
TASK_STATES: dict[str, Callable[[TaskQuerySet], TaskQuerySet]] = {
    "ready": TaskQuerySet.ready,
    "assigned": TaskQuerySet.assigned,
    "overdue": TaskQuerySet.overdue,
}
# Open tasks that wait for a dispatcher, with their words on the page.
PROBLEM, NO_CREW = "problem", "no_crew"
TASK_TROUBLES = {PROBLEM: "with a problem", NO_CREW: "without a crew"}
Moves = TypeVar("Moves", bound="MoveQuerySet[Any]")


@dataclass(frozen=True)
class BoardFilters:
    """An empty field does not filter.

    `system`, `area`: those of either end of a move. `source`: the job that proposed it. `state`: a
    state of suggestions or of tasks; it does not filter the other list. `show`: "all" for long
    lists.
    """

    area: str = ""
    source: str = ""
    state: str = ""
    show: str = ""
    system: str = ""

    @classmethod
    def parse(cls, query: QueryDict) -> Self:
        """Read a query string. An unknown state does not filter; an unknown name matches no row."""
        values = {
            field.name: printable(query.get(field.name, ""))[:MAX_LENGTH] for field in fields(cls)
        }
        if values["state"] not in {*SUGGESTION_STATES, *TASK_STATES, *TASK_TROUBLES}:
            values["state"] = ""
        if values["show"] != "all":
            values["show"] = ""
        return cls(**values)

    @property
    def query(self) -> str:
        """The query string that `parse` reads back."""
        return urlencode({name: value for name, value in vars(self).items() if value})

    @property
    def query_for_all(self) -> str:
        return replace(self, show="all").query

    @property
    def is_active(self) -> bool:
        return bool(self.system or self.area or self.source or self.state)

    @property
    def limit(self) -> int:
        return ALL_SHOWN if self.show else SHOWN

    def suggestions(self, stations: StationViews) -> SuggestionQuerySet:
        """The matching suggestions, of any state: their state is not a column."""
        return self.narrow(Suggestion.objects.all(), stations)

    def tasks(self, stations: StationViews, roster: Roster) -> TaskQuerySet:
        tasks = roster.without_crew() if self.state == NO_CREW else Task.objects.open()
        tasks = self.narrow(tasks, stations)
        if self.state == PROBLEM:
            return tasks.with_problem()
        return TASK_STATES[self.state](tasks) if self.state in TASK_STATES else tasks

    def narrow(self, moves: Moves, stations: StationViews) -> Moves:
        if self.system or self.area:
            ends = [
                station.id
                for station in stations.values()
                if self.system in ("", station.system) and self.area in ("", station.area)
            ]
            moves = moves.filter(Q(from_station_id__in=ends) | Q(to_station_id__in=ends))
        return moves.filter(source=self.source) if self.source else moves
