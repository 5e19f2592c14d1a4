"""Reports on the balance of the city and on the crews' work."""

from .hours import Hour, last_24_hours
from .periods import Period, period_of
from .report import KpiReport, build_report

__all__ = ["Hour", "KpiReport", "Period", "build_report", "last_24_hours", "period_of"]
