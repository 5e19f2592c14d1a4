"""The map as it is drawn: panes of circles and arrows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from .fills import STOCKOUTS, Fill
from .moves import Job, Proposal
from .projection import Pane, Point, arrow, panes_of, ruler
from .stops import Stop, Stops

CALM, WORSE, WORST = 4, 5.5, 7
RADII = {Fill.LOW: WORSE, Fill.HIGH: WORSE, Fill.EMPTY: WORST, Fill.FULL: WORST}


class Circle(NamedTuple):
    stop: Stop
    at: Point
    radius: float


@dataclass(frozen=True)
class Arrow:
    key: str
    state: str
    path: str
    told: str


@dataclass(frozen=True)
class Drawing:
    """One pane, with what lies on top last."""

    width: int
    height: int
    scale: tuple[str, float]
    circles: list[Circle]
    arrows: list[Arrow]

    @property
    def problems(self) -> int:
        return sum(circle.stop.fill in STOCKOUTS for circle in self.circles)


@dataclass(frozen=True)
class Picture:
    panes: list[Drawing]
    # Present, but too far from everything.
    beyond: int


def draw(stops: Stops, proposals: Iterable[Proposal], jobs: Iterable[Job]) -> Picture:
    panes = panes_of(stop.place for stop in stops.values() if stop.place)
    moves = [*map(of_proposal, proposals), *map(of_job, jobs)]
    drawings = [
        Drawing(
            pane.width, pane.height, ruler(pane), circles_in(pane, stops), arrows_in(pane, moves)
        )
        for pane in panes
    ]
    return Picture(drawings, len(stops) - sum(len(pane.points) for pane in panes))


def circles_in(pane: Pane, stops: Stops) -> list[Circle]:
    circles = [
        Circle(stops[pk], at, RADII.get(stops[pk].fill, CALM)) for pk, at in pane.points.items()
    ]
    return sorted(circles, key=lambda circle: (circle.stop.need, circle.stop.id))


@dataclass(frozen=True)
class Line:
    key: str
    state: str
    source: Stop
    target: Stop
    qty: int


def of_proposal(proposal: Proposal) -> Line:
    suggestion = proposal.suggestion
    return Line(f"a{suggestion.pk}", "proposed", proposal.source, proposal.target, suggestion.qty)


def of_job(job: Job) -> Line:
    return Line(f"b{job.task.pk}", job.state, job.source, job.target, job.task.qty)


def arrows_in(pane: Pane, lines: Iterable[Line]) -> list[Arrow]:
    """Of the moves within the pane."""
    return [
        Arrow(
            line.key,
            line.state,
            arrow(pane.points[line.source.id], pane.points[line.target.id]),
            f"{line.state}: {line.qty} bikes, {line.source.name} to {line.target.name}",
        )
        for line in lines
        if line.source.id in pane.points and line.target.id in pane.points
    ]
