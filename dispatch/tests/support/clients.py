"""Third-party programs that read the schema or call the service."""

import fcntl
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .server import ROOT

OLDEST_NODE = 20
NODE_PROJECT = ROOT / "dispatch" / "tests" / "clients"


def need_python(*modules):
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        refuse(f"{', '.join(missing)} not installed (`pip install -r requirements-clients.txt`)")


def refuse(reason):
    give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    give_up(f"{reason}: this client was not tried.")


def node_version():
    return int(run("node", "--version", cwd=ROOT).strip().removeprefix("v").split(".")[0])


@pytest.fixture(scope="session")
def node_modules():
    """The packages of package-lock.json, installed once for all test processes."""
    if not shutil.which("npm") or node_version() < OLDEST_NODE:
        refuse(f"Node.js {OLDEST_NODE} or newer and npm are not installed")
    modules = NODE_PROJECT / "node_modules"
    with (NODE_PROJECT / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = modules / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < os.fstat(lock.fileno()).st_mtime:
            run("npm", "ci", "--ignore-scripts", cwd=NODE_PROJECT)
    return modules


def run(*command, cwd, **environment):
    """Run a command with this Python's programs first on PATH; return what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # Proxies and colours of the environment would change the output.
    env = {**os.environ, "PATH": path, "NO_COLOR": "1", **environment}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
