"""Figures of how well the city is kept in balance, and how the work goes."""

from .hours import Hour, last_24_hours
from .periods import Period, period_of
from .report import Report, report

__all__ = ["Hour", "Period", "Report", "last_24_hours", "period_of", "report"]
