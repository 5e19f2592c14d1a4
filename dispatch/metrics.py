"""Counters of each process. `monitoring` reads the tables instead."""

from prometheus_client import Counter, Histogram

CLAIM_WAIT = Histogram(
    "dispatch_claim_wait_seconds",
    "Time from the creation of a task to its claim.",
    buckets=(30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21600),
)
REFUSALS = Counter(
    "dispatch_refusals_total",
    "Requests to the API that were refused, by the kind of refusal.",
    ["reason"],
)
