"""Figures by day and by week, each beside those of the same days a week earlier. No database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from ..stations import Poll
from .periods import Period
from .stockouts import Share, share_of
from .work import WorkDone

WEEK = timedelta(days=7)
NOTHING_DONE = WorkDone(0, 0)


@dataclass(frozen=True)
class DaysFigures:
    """One day, or the days of one week that lie in the period. `days`: their number."""

    first: date
    days: int
    share: Share
    work: WorkDone
    share_before: Share
    work_before: WorkDone


@dataclass(frozen=True)
class Diary:
    """The sums of polls and the completed work of each day. Days without any are missing."""

    polls: Mapping[date, Poll]
    work: Mapping[date, WorkDone]

    def figures(self, days: Sequence[date]) -> DaysFigures:
        before = [day - WEEK for day in days]
        return DaysFigures(
            days[0],
            len(days),
            self.share(days),
            self.done(days),
            self.share(before),
            self.done(before),
        )

    def share(self, days: Iterable[date]) -> Share:
        return share_of(self.polls[day] for day in days if day in self.polls)

    def done(self, days: Iterable[date]) -> WorkDone:
        done = [self.work.get(day, NOTHING_DONE) for day in days]
        return WorkDone(sum(each.tasks for each in done), sum(each.bikes for each in done))


def by_day(period: Period, diary: Diary) -> list[DaysFigures]:
    return [diary.figures([day]) for day in period.days()]


def by_week(period: Period, diary: Diary) -> list[DaysFigures]:
    """Return the weeks from Monday to Sunday. The first and the last may be incomplete."""
    weeks = groupby(period.days(), key=lambda day: day.isocalendar()[:2])
    return [diary.figures(list(days)) for _, days in weeks]
