"""The README's first command, run as a process."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from django.conf import settings

from baywheels.embedded.cluster import Cluster
from deploy.private import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def quickstart(tmp_path, *arguments):
    environment = {**os.environ, "DEVDB_DIR": str(tmp_path / "db")}
    environment.pop("DATABASE_URL", None)
    return subprocess.Popen(
        [sys.executable, "manage.py", "quickstart", *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_it_serves_the_console_and_ctrl_c_stops_everything(tmp_path):
    port = free_port()
    process = quickstart(tmp_path, "--port", str(port))
    try:
        printed = ""
        while "/complete" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        url = f"http://127.0.0.1:{port}"
        password = re.search(r"user dispatcher, password (\S+)", printed)[1]

        code = re.search(rf"{url}/crew/join#(\S+)", printed)[1]
        own_page = {"X-Crew": "1"}
        answer = requests.post(
            f"{url}/crew/api/code", json={"code": code}, headers=own_page, timeout=20
        )
        assert answer.json()["crew"]["worker_id"] == "van-3"

        browser = requests.Session()
        login = f"{url}/admin/login/?next=/admin/dispatch/suggestion/"
        browser.get(login, timeout=20)
        form = {
            "username": "dispatcher",
            "password": password,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        page = browser.post(login, data=form, timeout=20).text
        assert 'value="approve_selected"' in page
        first, *others = requests.get(url + "/suggestions", timeout=20).json()
        assert (first["id"], first["from_station_id"], first["to_station_id"]) == (1, 100, 200)
        assert (first["qty"], first["reason"]) == (
            5,
            "Station 100 is full, Station 200 needs bikes",
        )
        assert len(others) > 10
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)

    assert "Stopped." in rest
    assert "Traceback" not in errors
    assert process.returncode == 0
    assert not Cluster(tmp_path / "db").is_running()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


@pytest.mark.slow
def test_the_simulation_completes_tasks_and_ctrl_c_stops_it(tmp_path):
    port = free_port()
    process = quickstart(tmp_path, "--port", str(port), "--simulate", "--speed", "60")
    try:
        printed = ""
        while "approved by the simulation" not in printed:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            printed += line
        deadline = time.monotonic() + 40
        completed = []
        while not completed and time.monotonic() < deadline:
            url = f"http://127.0.0.1:{port}/tasks?status=completed"
            completed = requests.get(url, timeout=20).json()
            time.sleep(0.2)
        assert completed[0]["worker_id"].startswith("van-")
    finally:
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)

    assert "Stopped." in rest
    assert errors == ""
    assert process.returncode == 0
    assert not Cluster(tmp_path / "db").is_running()


@pytest.mark.slow
def test_check_runs_the_whole_loop_and_exits_0(tmp_path):
    printed, errors = quickstart(tmp_path, "--check", "--port", str(free_port())).communicate(
        timeout=80
    )

    steps = [line.split()[0] for line in printed.splitlines()]
    assert steps == ["Preparing", "ingested", "approved", "claimed", "completed", "The"], errors
    assert not Cluster(tmp_path / "db").is_running()


def test_a_used_port_is_refused_before_anything_starts(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = quickstart(tmp_path, "--port", str(port))
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert errors == f"CommandError: Port {port} cannot be used: choose another with --port.\n"
    assert not (tmp_path / "db").exists()


def test_speed_needs_simulate(tmp_path):
    process = quickstart(tmp_path, "--port", str(free_port()), "--speed", "10")
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert errors == "CommandError: --speed needs --simulate.\n"


def test_a_missing_binary_is_reported_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    process = quickstart(tmp_path, "--port", str(free_port()))
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert re.fullmatch(r"CommandError: PG_BIN=.* holds no PostgreSQL .*\n", errors)
