"""Computes the bars of charts for a template to draw. No database.

Bars lie in a box of WIDTH by HEIGHT that the page stretches; texts stay outside of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from .stockouts import Share
from .work import WorkDone

WIDTH, HEIGHT = 240, 100
FILLED = 0.8
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Series:
    """`key`: its class in style sheets. A value of None is unknown, unlike 0."""

    key: str
    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Bar:
    key: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Mark:
    """A short line at the total of the same day a week earlier."""

    start: float
    end: float
    y: float


@dataclass(frozen=True)
class Column:
    """The bars over one label. `title`: their values in words. `mark`: None for no line."""

    label: str
    title: str
    x: float
    width: float
    bars: list[Bar]
    mark: Mark | None = None


@dataclass(frozen=True)
class Goal:
    """A line at the value that should not be exceeded."""

    label: str
    y: float


@dataclass(frozen=True)
class Chart:
    """`total`: the total or mean of all columns, in words. `top`: the value of the upper edge, in
    words. `legend`: empty if there is one series. `goal`: None for no line."""

    title: str
    total: str
    summary: str
    top: str
    columns: list[Column]
    legend: list[Series]
    goal: Goal | None = None
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def has_marks(self) -> bool:
        """True if a column has a mark of a week earlier."""
        return any(column.mark for column in self.columns)

    @property
    def ticks(self) -> list[str]:
        """Return a text for each column: the label of about every fourth part, else none."""
        step = max(1, ceil(len(self.columns) / 4))
        return ["" if place % step else column.label for place, column in enumerate(self.columns)]


def charts_over_time(
    labels: Sequence[str],
    shares: Sequence[Share],
    work: Sequence[WorkDone],
    goal: int | None = None,
    before: tuple[Sequence[Share], Sequence[WorkDone]] | None = None,
) -> list[Chart]:
    """Return the charts of station outages, tasks done and bikes moved.

    `goal`: the highest percent of stations that should be empty or full. None: there is none.
    `before`: the shares and the work of a week earlier. None: without marks of them.
    """
    shares_before, work_before = before or ([], [])
    out_before = [share.either for share in shares_before]
    empty = Series("empty", "empty", [share.empty for share in shares])
    full = Series("full", "full", [share.full for share in shares])
    out = mean_of(shares)
    total = "unknown" if out is None else f"{out:.1f} %"
    tasks = Series("completed", "tasks", [hour.tasks for hour in work])
    bikes = Series("completed", "bikes", [hour.bikes for hour in work])
    stations = "Stations empty or full"
    return [
        bar_chart(stations, labels, [empty, full], " %", total, goal=goal, before=out_before),
        count_chart("Tasks completed", labels, tasks, [day.tasks for day in work_before]),
        count_chart("Bikes moved", labels, bikes, [day.bikes for day in work_before]),
    ]


def count_chart(
    title: str, labels: Sequence[str], counts: Series, before: Sequence[float | None]
) -> Chart:
    total = f"{sum(count or 0 for count in counts.values):,}"
    return bar_chart(title, labels, [counts], total=total, before=before)


def mean_of(shares: Sequence[Share]) -> float | None:
    """Return the percent of stations without a bike or a dock over all hours."""
    polls = sum(share.station_polls for share in shares)
    out = sum(share.station_polls * (share.either or 0) for share in shares)
    return out / polls if polls else None


def bar_chart(
    title: str,
    labels: Sequence[str],
    stacked: Sequence[Series],
    unit: str = "",
    total: str = "",
    *,
    goal: float | None = None,
    before: Sequence[float | None] = (),
) -> Chart:
    """Stack the series' values in columns. `unit` follows each number.

    `before`: the columns' totals a week earlier. Empty: without marks of them.
    """
    columns = zip(*(series.values for series in stacked), strict=True)
    totals = [sum(known) if (known := [v for v in c if v is not None]) else None for c in columns]
    top = round_up(max(value or 0 for value in (*totals, goal, *before)))
    return Chart(
        title=title,
        total=total,
        summary=summary(title, labels, totals, unit),
        top=f"{top:g}{unit}",
        columns=columns_of(labels, stacked, before or [None] * len(labels), unit, top),
        legend=list(stacked) if len(stacked) > 1 else [],
        goal=goal_line(goal, top, unit) if goal is not None else None,
    )


def columns_of(
    labels: Sequence[str],
    stacked: Sequence[Series],
    before: Sequence[float | None],
    unit: str,
    top: float,
) -> list[Column]:
    step = WIDTH / max(1, len(labels))
    by_column = zip(*(series.values for series in stacked), strict=True)
    return [
        Column(
            label,
            in_words(label, stacked, values, unit, earlier),
            round(place * step, 2),
            round(step, 2),
            list(bars(place * step, step, stacked, values, top)),
            mark(place * step, step, earlier, top),
        )
        for place, (label, values, earlier) in enumerate(
            zip(labels, by_column, before, strict=True)
        )
    ]


def goal_line(goal: float, top: float, unit: str) -> Goal:
    return Goal(f"goal {shown(goal, unit)}", y_of(goal, top))


def mark(x: float, step: float, earlier: float | None, top: float) -> Mark | None:
    if earlier is None:
        return None
    gap = step * (1 - FILLED) / 2
    return Mark(round(x + gap, 2), round(x + step - gap, 2), y_of(earlier, top))


def y_of(value: float, top: float) -> float:
    """The box begins at the top."""
    return round(HEIGHT - HEIGHT * value / top, 2)


def round_up(value: float) -> float:
    """Return the next number that is easy to read, at least 1."""
    if value <= 1:
        return 1
    magnitude = float(10 ** floor(log10(value)))
    return next(step * magnitude for step in STEPS if value <= step * magnitude)


def bars(
    x: float, step: float, stacked: Sequence[Series], values: Sequence[float | None], top: float
) -> list[Bar]:
    found = []
    y = float(HEIGHT)
    for series, value in zip(stacked, values, strict=True):
        if value:
            height = HEIGHT * value / top
            y -= height
            left = x + step * (1 - FILLED) / 2
            found.append(Bar(series.key, *(round(n, 2) for n in (left, y, step * FILLED, height))))
    return found


def in_words(
    label: str,
    stacked: Sequence[Series],
    values: Sequence[float | None],
    unit: str,
    earlier: float | None,
) -> str:
    known = [
        f"{series.name} {shown(value, unit)}"
        for series, value in zip(stacked, values, strict=True)
        if value is not None
    ]
    text = f"{label}: {', '.join(known) or 'unknown'}"
    if earlier is None:
        return text
    in_all = " in all" if len(stacked) > 1 else ""
    return f"{text}; a week earlier {shown(earlier, unit)}{in_all}"


def summary(title: str, labels: Sequence[str], totals: Sequence[float | None], unit: str) -> str:
    known = [
        (total, label) for total, label in zip(totals, labels, strict=True) if total is not None
    ]
    if not known:
        return f"{title}: unknown"
    (least, quiet), (most, busy) = min(known), max(known)
    return f"{title}: from {shown(least, unit)} at {quiet} to {shown(most, unit)} at {busy}"


def shown(value: float, unit: str) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") + unit
