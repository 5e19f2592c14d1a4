"""Hours as bars: numbers in, drawing coordinates out."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from .day import Hour

WIDTH, HEIGHT = 240, 60


@dataclass(frozen=True)
class Bar:
    x: float
    height: float
    told: str


@dataclass(frozen=True)
class Chart:
    """`total`: what the bars say in one figure, as text."""

    name: str
    total: str
    highest: str
    bars: list[Bar]
    width = WIDTH
    height = HEIGHT


def charts_of(hours: Sequence[Hour]) -> list[Chart]:
    shares = [hour.stockout_percent for hour in hours]
    known = [share for share in shares if share is not None]
    mean = f"{sum(known) / len(known):.1f} %" if known else "not known"
    tasks, bikes = [hour.tasks for hour in hours], [hour.bikes for hour in hours]
    return [
        Chart("Stations empty or full", mean, peak(known, " %"), bars(hours, shares, "{:.1f} %")),
        Chart("Tasks done", str(sum(tasks)), peak(tasks), bars(hours, tasks, "{} tasks")),
        Chart("Bikes moved", str(sum(bikes)), peak(bikes), bars(hours, bikes, "{} bikes")),
    ]


def peak(values: Sequence[float], unit: str = "") -> str:
    highest = max(values, default=0)
    return f"{highest:.1f}{unit}" if unit else f"{highest:g}"


def bars(hours: Sequence[Hour], values: Sequence[float | None], words: str) -> list[Bar]:
    highest = max((value for value in values if value is not None), default=0) or 1
    return [bar(n, hours[n], value, highest, words) for n, value in enumerate(values)]


def bar(n: int, hour: Hour, value: float | None, highest: float, words: str) -> Bar:
    height = round(HEIGHT * (value or 0) / highest, 1)
    told = "not known" if value is None else words.format(value)
    clock = f"{timezone.localtime(hour.start):%H:%M}"
    return Bar((n + 0.5) * WIDTH / 24, height, f"{clock}: {told}")
