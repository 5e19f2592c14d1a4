"""The steps of docs/high-availability.md, as someone pastes them into a terminal."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from baywheels.embedded.programs import as_known_user
from deploy.private import free_port

from ..support.drills import nightly
from ..support.machines import send
from ..support.server import ROOT
from ..support.upstreams import need

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(900), nightly]

PAGE = (ROOT / "docs" / "high-availability.md").read_text()
[SECTION] = re.findall(r"^## Rehearse it.*?(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
STEPS = re.findall(r"^```bash\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)


@pytest.fixture
def home(tmp_path):
    yield tmp_path
    for file in tmp_path.glob("three/**/*.pid"):
        send(signal.SIGKILL, [int(file.read_text().split()[0])])


def test_rehearsal_in_the_docs_works_word_for_word(home):
    for program in ("etcd", "haproxy", "curl"):
        need(program)
    # Others on this machine may use its ports.
    script = "\n".join(STEPS).replace("127.0.0.1:8000", f"127.0.0.1:{free_port()}")
    [port] = set(re.findall(r"http://127\.0\.0\.1:(\d+)", script))
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "BIND": f"127.0.0.1:{port}",
    }
    # Not a pipe: after a failure, the programs that it has started keep it open.
    with open(home / "output", "w+") as output:
        done = subprocess.run(
            [*as_known_user(os.geteuid()), "bash", "-e", "-c", script],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    shown = (home / "output").read_text()
    print(shown)

    assert done.returncode == 0
    answers = (home / "three" / "answers").read_text()
    assert re.search(r" 200 .* 503 .* 200 ", answers, re.DOTALL)
    acknowledged, found = map(int, shown.split()[-2:])
    assert 0 < acknowledged <= found
