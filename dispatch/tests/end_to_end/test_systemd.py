"""The units in deploy/systemd: valid, confined, and with commands that exist."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from ..support.server import ROOT

pytestmark = pytest.mark.slow

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
# From 0, fully confined, to 100.
MOST_EXPOSED = 20


@pytest.fixture
def installed(tmp_path):
    """The units with this checkout and Python in place of those in /opt/dispatch."""
    if not shutil.which("systemd-analyze"):
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing: install systemd.")
        pytest.skip("systemd-analyze is missing: install systemd.")
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text().replace("/opt/dispatch/.venv", sys.prefix)
            path.write_text(text.replace("/opt/dispatch", str(ROOT)))
    return folder


def analyze(folder, *arguments):
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", [*SERVICES, "dispatch.target", "dispatch-prune.timer"])
def test_unit_is_valid(installed, name):
    unit = name.replace("@.", "@8001.")

    done = analyze(installed, "verify", "--recursive-errors=one", f"{installed}/{unit}")

    assert (done.returncode, done.stderr) == (0, "")


def test_unit_of_patroni_is_valid(installed):
    unit = installed / "patroni.service"
    text = (ROOT / "deploy" / "patroni.service").read_text()
    unit.write_text(text.replace("/opt/patroni", sys.prefix))

    done = analyze(installed, "verify", "--recursive-errors=no", str(unit))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_confined(installed, name):
    unit = name.replace("@.", "@8001.")

    done = analyze(installed, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", unit)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_command_of_a_service_accepts_its_arguments(name):
    unit = (UNITS / name).read_text()
    [line] = re.findall("^ExecStart=/opt/dispatch/.venv/bin/(.+)$", unit, re.M)
    program, *arguments = line.split()
    command = [sys.executable, "-m", "gunicorn"] if program == "gunicorn" else [sys.executable]
    check = "--check-config" if program == "gunicorn" else "--help"

    done = subprocess.run(
        [*command, *(each.replace("%i", "8001") for each in arguments), check],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_server_has_longer_to_stop_than_its_requests_have():
    unit = (UNITS / "dispatch-web@.service").read_text()
    [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.M)
    configuration = (ROOT / "gunicorn.conf.py").read_text()
    [graceful] = re.findall(r"^graceful_timeout = (\d+)$", configuration, re.M)

    assert int(stop) > int(graceful)
