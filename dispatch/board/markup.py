"""What there is one of for each station: a template, or format_html, would take half of the page's
time for them. Each text is escaped here; the rest are numbers and our own words."""

from collections.abc import Iterable

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from .picture import Circle
from .stops import Stop


def as_circles(circles: Iterable[Circle]) -> SafeString:
    return mark_safe("\n".join(map(as_circle, circles)))  # noqa: S308


def as_circle(circle: Circle) -> str:
    stop, at, radius = circle
    return (
        f'<circle id="s{stop.id}" class="{stop.fill}" cx="{at.x}" cy="{at.y}" r="{radius}" '
        f'role="button"><title>{escape(stop.name)}: {stop.fill.word}, {stop.told}</title></circle>'
    )


def as_rows(stops: Iterable[Stop]) -> SafeString:
    return mark_safe("\n".join(map(as_row, stops)))  # noqa: S308


def as_row(stop: Stop) -> str:
    level = stop.level
    figures = (level.bikes, level.docks, stop.percent) if level else ("", "", "")
    return (
        f'<tr id="r{stop.id}" class="{stop.fill}"><th scope="row"><a href="?station={stop.id}">'
        f"{escape(stop.name)}</a></th><td>{stop.fill.word}</td>"
        + "".join(f"<td>{figure}</td>" for figure in figures)
        + "</tr>"
    )
