from collections.abc import Iterable, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

Rows = Iterable[tuple[Sequence[str], float | datetime | None]]


def value_of(value: float | datetime) -> float:
    return value.timestamp() if isinstance(value, datetime) else float(value)


def gauge(name: str, text: str, rows: Rows, labels: Sequence[str] = ()) -> Metric:
    """`rows`: the label values and the value of each series. A value of None has no series."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for names, value in rows:
        if value is not None:
            family.add_metric(names, value_of(value))
    return family


def counter(name: str, text: str, rows: Rows, labels: Sequence[str] = ()) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for names, value in rows:
        if value is not None:
            family.add_metric(names, value_of(value))
    return family
