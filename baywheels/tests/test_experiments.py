"""What `pytest` leaves out, it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEFT_OUT = "2 experiments were NOT run: `pytest -m experiment` runs them."
TESTS = """
import pytest

def test_quick():
    pass

@pytest.mark.experiment
@pytest.mark.parametrize("number", [1, 2])
def test_long(number):
    pass
"""


@pytest.fixture
def run(tmp_path):
    """Pytest on a small project of its own, with the plugin of this one."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\naddopts = -p experiments -p no:cacheprovider --strict-markers"
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_both.py").write_text(TESTS)

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "xdist", *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return int(re.search(r"(\d+) passed", done.stdout)[1]), done.stdout

    return run


@pytest.mark.experiment
@pytest.mark.parametrize("workers", ["0", "2"])
def test_experiments_are_left_out_aloud(run, workers):
    passed, said = run("-n", workers)

    assert passed == 1
    assert LEFT_OUT in said


@pytest.mark.experiment
@pytest.mark.parametrize(
    ("arguments", "count"),
    [(["-m", "experiment"], 2), (["tests/test_both.py"], 3), (["-n", "1", "tests"], 3)],
    ids=["by marker", "by file", "by folder"],
)
def test_what_is_asked_for_is_run_and_nothing_said(run, arguments, count):
    passed, said = run(*arguments)

    assert passed == count
    assert "NOT run" not in said


def test_this_project_leaves_them_out_in_the_same_way(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("experiments")
    assert "experiment" in (ROOT / ".ci" / "run").read_text()
