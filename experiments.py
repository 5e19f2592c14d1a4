"""`pytest` leaves out what is marked as an experiment, and says so; CI runs these, too.

Whoever names files, or chooses by marker, gets all that was asked for.
"""

from collections.abc import Sequence
from typing import Any

import pytest

QUICK = "not experiment"
LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "experiment: long, randomised or of many processes")
    if hasattr(config, "workerinput"):
        config.option.markexpr = config.workerinput["markexpr"]
    elif not config.option.markexpr and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.option.markexpr = QUICK


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    # A worker of xdist reads the command line for itself and cannot see what was chosen.
    node.workerinput["markexpr"] = node.config.option.markexpr


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("experiment"):
            item.config.stash[LEFT_OUT] = item.config.stash.get(LEFT_OUT, 0) + 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Each worker has left out the same. One that was killed says nothing.
    if hasattr(node, "workeroutput"):
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left_out = config.stash.get(LEFT_OUT, 0)
    if left_out and config.option.markexpr == QUICK:
        terminalreporter.write_line(
            f"{left_out} experiments were NOT run: `pytest -m experiment` runs them.", yellow=True
        )
