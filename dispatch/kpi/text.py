"""Writes a report as tables for a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..models import RejectionCode
from ..tables import aligned
from ..texts import printable
from .breakdown import CrewFigures, WorkFigures
from .places import Place
from .report import KpiReport
from .work import Wait

# With a longer name, the table would be wider than 100 characters.
NAME_WIDTH, LABEL_WIDTH = 40, 30
NONE = "(none)"
Row = Sequence[str]
SOURCE_COLUMNS = ("new", "approved", "rej.", "exp.", "rate", "moved", "judged", "out", "held")
WORK_COLUMNS = ("claimed", "done", "bikes", "to claim", "to done", "released", "back", "late")


def to_text(report: KpiReport) -> str:
    return "\n".join(lines(report))


def lines(report: KpiReport) -> Iterator[str]:
    period = report.period
    yield f"{period.first} to {period.last}, {period.zone}"
    if report.polls:
        covered = percent(report.coverage)
        yield f"{report.polls:,} status polls, covering {covered} of the time"
        yield from stockouts(report)
        yield from by_hour(report)
        yield from worst_stations(report)
        yield from clusters(report)
    else:
        yield "No station status was polled in this period."
    yield from work(report)
    yield from weeks(report)
    yield from crews(report)
    yield from areas(report)
    yield from sources(report)
    yield from rejections(report)


def stockouts(report: KpiReport) -> Iterator[str]:
    found = report.stockouts
    kinds = (found.empty, found.full, found.either)
    shares = [
        (label, *(percent(share) for share in (of.empty, of.full, of.either)))
        for label, of in (("share of polls", found.share), ("06:00 to 22:00", found.peak_hours))
    ]
    yield from table(
        ("Stockouts", "empty", "full", "either"),
        [
            *shares,
            ("episodes", *(f"{kind.episodes:,}" for kind in kinds)),
            ("stations", *(f"{kind.stations:,}" for kind in kinds)),
            ("minutes", *(number(kind.minutes) for kind in kinds)),
            ("median minutes", *(number(kind.median_minutes) for kind in kinds)),
        ],
    )
    yield f"{found.long_episodes:,} episodes lasted longer than 60 minutes."
    if found.worst_tenth is not None:
        yield f"The worst tenth of the stations has {percent(found.worst_tenth, 0)} of the minutes."


def by_hour(report: KpiReport) -> Iterator[str]:
    hours = zip(report.stockouts.by_hour, report.work.by_hour, strict=True)
    yield from table(
        ("Hour of the day", "empty", "full", "either", "tasks", "bikes"),
        [
            (
                f"{hour:02}:00",
                *(percent(part) for part in (share.empty, share.full, share.either)),
                f"{work.tasks:,}",
                f"{work.bikes:,}",
            )
            for hour, (share, work) in enumerate(hours)
        ],
    )


def worst_stations(report: KpiReport) -> Iterator[str]:
    stations = report.stockouts.worst_stations
    if stations:
        yield from table(
            ("Worst stations", "episodes", "min. empty", "min. full"),
            [
                (
                    f"{shown(s.name)} (#{s.station_id})",
                    f"{s.episodes:,}",
                    number(s.empty_minutes),
                    number(s.full_minutes),
                )
                for s in stations
            ],
        )


def clusters(report: KpiReport) -> Iterator[str]:
    found = report.clusters
    yield from table(
        ("Cluster outages", ""),
        [
            ("longer than 10 minutes", f"{found.episodes:,}"),
            ("minutes beyond 10", number(found.minutes_beyond)),
            ("clusters", f"{found.clusters:,}"),
            ("stations in one, mean", number(found.mean_size, 1)),
        ],
    )


def work(report: KpiReport) -> Iterator[str]:
    done = report.work
    yield from table(
        ("Work", ""),
        [
            ("tasks done", f"{done.tasks_done:,}"),
            ("bikes moved", f"{done.bikes_moved:,}"),
            ("bikes moved per hour", number(done.bikes_per_hour, 1)),
        ],
    )
    waits = (
        ("approval to claim", done.approval_to_claim),
        ("claim to done", done.claim_to_completion),
    )
    yield from table(("Minutes", "tasks", "median", "90th"), [wait(*each) for each in waits])


def wait(label: str, of: Wait) -> Row:
    return label, f"{of.count:,}", number(of.median, 1), number(of.ninetieth, 1)


def weeks(report: KpiReport) -> Iterator[str]:
    yield from table(
        ("From", "days", "tasks", "before", "bikes", "before", "out", "before"),
        [
            (
                f"{week.first}",
                f"{week.days}",
                f"{week.work.tasks:,}",
                f"{week.work_before.tasks:,}",
                f"{week.work.bikes:,}",
                f"{week.work_before.bikes:,}",
                percent(week.share.either),
                percent(week.share_before.either),
            )
            for week in report.weeks
        ],
    )


def crews(report: KpiReport) -> Iterator[str]:
    yield from work_table("Crew", [(crew_label(crew), crew.work) for crew in report.crews], report)


def crew_label(crew: CrewFigures) -> str:
    return f"{crew.name} ({crew.worker_id})" if crew.name else crew.worker_id


def areas(report: KpiReport) -> Iterator[str]:
    yield from work_table(
        "Area", [(place_label(area.place), area.work) for area in report.areas], report
    )
    waiting = [area for area in report.areas if area.ready]
    if waiting:
        rows = [(place_label(a.place), f"{a.ready:,}", number(a.oldest_ready)) for a in waiting]
        yield from table(
            ("Ready now", "tasks", "oldest, min."),
            [(shown(area) or NONE, *cells) for area, *cells in rows],
        )


def place_label(place: Place, width: int = LABEL_WIDTH) -> str:
    """Of long names, the beginning of both: two systems may have areas of the same name."""
    if not place.system:
        return shown(place.area, width)
    system = shown(place.system, width // 2)
    area = shown(place.area or "no area", width - len(system) - len(" ()"))
    return f"{area} ({system})"


def work_table(
    label: str, rows: Sequence[tuple[str, WorkFigures]], report: KpiReport
) -> Iterator[str]:
    if rows:
        yield from table(
            (label, *WORK_COLUMNS),
            [
                (shown(name, LABEL_WIDTH) or NONE, *work_cells(work))
                for name, work in (*rows, ("all", report.total))
            ],
        )


def work_cells(work: WorkFigures) -> Row:
    return (
        f"{work.claimed:,}",
        f"{work.completed:,}",
        f"{work.bikes:,}",
        number(work.ready_to_claim, 1),
        number(work.claim_to_completion, 1),
        f"{work.released:,}",
        percent(work.given_back_percent, 0),
        f"{work.late_reports:,}",
    )


def sources(report: KpiReport) -> Iterator[str]:
    if report.sources:
        yield from table(
            ("Suggestions by source", *SOURCE_COLUMNS),
            [
                (
                    shown(s.source, LABEL_WIDTH) or NONE,
                    *(f"{n:,}" for n in (s.suggested, s.approved, s.rejected, s.expired)),
                    percent(s.approval_rate, 0),
                    *(f"{n:,}" for n in (s.moved, s.judged, s.ran_out)),
                    percent(s.hit_rate, 0),
                )
                for s in report.sources
            ],
        )


def rejections(report: KpiReport) -> Iterator[str]:
    codes: Counter[str] = Counter()
    for source in report.sources:
        codes.update(source.rejected_because)
    if codes:
        yield from table(
            ("Why rejected", "suggestions"),
            [(RejectionCode(code).label, f"{count:,}") for code, count in codes.most_common()],
        )


def table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    """Yield an empty line, then the rows: the first column to the left, the others to the right."""
    yield ""
    yield from aligned([head, *rows], "<".ljust(len(head), ">"))


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f} %"


def shown(text: str, width: int = NAME_WIDTH) -> str:
    """Return the text cut to size and without control characters, which terminals obey."""
    plain = printable(text)
    return plain if len(plain) <= width else f"{plain[: width - 1]}…"
