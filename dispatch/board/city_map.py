"""The map: panes with a circle for each station and an arrow for each move."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.template.defaultfilters import pluralize

from ..overview.fill_levels import STOCKOUTS, FillLevel
from ..overview.moves import OpenSuggestion, OpenTask
from ..overview.station_views import StationView, StationViews
from ..texts import isolated
from .projection import Pane, Point, arrow, panes_of, ruler

SMALL, MEDIUM, LARGE = 4, 5.5, 7
RADII = {
    FillLevel.LOW: MEDIUM,
    FillLevel.HIGH: MEDIUM,
    FillLevel.EMPTY: LARGE,
    FillLevel.FULL: LARGE,
}


class Circle(NamedTuple):
    station: StationView
    at: Point
    radius: float


@dataclass(frozen=True)
class Arrow:
    key: str
    state: str
    path: str
    label: str


@dataclass(frozen=True)
class PaneDrawing:
    """One pane. Circles are in drawing order: the last is on top."""

    width: int
    height: int
    scale: tuple[str, float]
    circles: list[Circle]
    arrows: list[Arrow]

    @property
    def stockouts(self) -> int:
        return sum(circle.station.level in STOCKOUTS for circle in self.circles)


@dataclass(frozen=True)
class CityMap:
    panes: list[PaneDrawing]
    # Stations too far away to be drawn.
    off_map: int


@dataclass(frozen=True)
class MoveLine:
    key: str
    state: str
    source: StationView
    target: StationView
    qty: int

    @property
    def label(self) -> str:
        bikes = f"{self.qty} bike{pluralize(self.qty)}"
        return (
            f"{self.state}: {bikes}, {isolated(self.source.name)} to {isolated(self.target.name)}"
        )


def draw_map(
    stations: StationViews, suggestions: Iterable[OpenSuggestion], tasks: Iterable[OpenTask]
) -> CityMap:
    panes = panes_of(station.place for station in stations.values() if station.place)
    lines = [*map(suggestion_line, suggestions), *map(task_line, tasks)]
    drawings = [
        PaneDrawing(
            pane.width, pane.height, ruler(pane), circles_in(pane, stations), arrows_in(pane, lines)
        )
        for pane in panes
    ]
    return CityMap(drawings, len(stations) - sum(len(pane.points) for pane in panes))


def circles_in(pane: Pane, stations: StationViews) -> list[Circle]:
    circles = [
        Circle(stations[pk], at, RADII.get(stations[pk].level, SMALL))
        for pk, at in pane.points.items()
    ]
    return sorted(circles, key=lambda circle: (circle.station.urgency, circle.station.id))


def suggestion_line(open_suggestion: OpenSuggestion) -> MoveLine:
    suggestion = open_suggestion.suggestion
    source, target = open_suggestion.source, open_suggestion.target
    return MoveLine(f"a{suggestion.pk}", "suggestion", source, target, suggestion.qty)


def task_line(open_task: OpenTask) -> MoveLine:
    task = open_task.task
    return MoveLine(f"b{task.pk}", open_task.state, open_task.source, open_task.target, task.qty)


def arrows_in(pane: Pane, lines: Iterable[MoveLine]) -> list[Arrow]:
    """Arrows for the moves whose two stations are both in the pane."""
    return [
        Arrow(
            line.key,
            line.state,
            arrow(pane.points[line.source.id], pane.points[line.target.id]),
            line.label,
        )
        for line in lines
        if line.source.id in pane.points and line.target.id in pane.points
    ]
