"""Shared by the benchmarks that compare ways of claiming."""

import shutil
import statistics
import sys
from typing import Any

from over_http import DEFAULTS

from deploy import private


def arguments() -> list[int]:
    given = [int(each) for each in sys.argv[1:]]
    return [*given, *DEFAULTS[len(given) :]]


def require(*programs: str) -> None:
    for program in programs:
        if not (shutil.which(program) or private.path_of(program)):
            raise SystemExit(f"{program} is needed: apt-get install {program}")


def print_table(results: dict[str, list[dict[str, Any]]]) -> None:
    """Medians, and the ratio of each to the first."""
    first = next(iter(results.values()))
    print(
        f"\n{'claim':14} {'a second':>9} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}   ratio to first"
    )
    for name, each in results.items():
        columns = " ".join(
            f"{statistics.median(one[key] for one in each):>8.1f}"
            for key in ("rate", "p50", "p95", "p99")
        )
        ratio = statistics.median(
            mine["rate"] / theirs["rate"] for mine, theirs in zip(each, first, strict=True)
        )
        print(f"{name:14}  {columns}   {ratio:.2f} x")
