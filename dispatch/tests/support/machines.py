"""Three database machines on loopback: etcd, Patroni and PostgreSQL each, and an HAProxy."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import requests
import yaml

from baywheels.embedded.programs import as_known_user, find_programs
from deploy.private import free_port, path_of

from .server import ROOT

NAMES = ("node1", "node2", "node3")
PATIENCE_SECONDS = 120


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


class Machine:
    """One machine. `kill` ends all of its processes at once, as a power failure does."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder / name
        self.data = self.folder / "data"
        self.folder.mkdir(mode=0o700)
        self.etcd_port, self.peer_port, self.rest_port, self.port = (free_port() for _ in range(4))
        self.processes = {}

    def run(self, name, *command):
        with open(self.folder / f"{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen(
                [*as_known_user(os.geteuid()), *command],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_etcd(self, machines):
        peers = ",".join(f"{each.name}=http://127.0.0.1:{each.peer_port}" for each in machines)
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, self.peer_port))
        self.run(
            "etcd",
            "etcd",
            f"--name={self.name}",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={peers}",
        )

    def start_patroni(self, machines, **dcs):
        """`dcs`: changes of the shared configuration, for the first start of all."""
        file = self.folder / "patroni.yml"
        file.write_text(yaml.safe_dump(self.configuration(machines, dcs)))
        self.run("patroni", sys.executable, "-m", "patroni", str(file))

    def configuration(self, machines, dcs):
        """deploy/patroni.yml with this machine's name, addresses and folders."""
        settings = yaml.safe_load((ROOT / "deploy" / "patroni.yml").read_text())
        settings["name"] = self.name
        rest, database = (f"127.0.0.1:{port}" for port in (self.rest_port, self.port))
        settings["restapi"] = {"listen": rest, "connect_address": rest}
        settings["etcd3"]["hosts"] = [f"127.0.0.1:{each.etcd_port}" for each in machines]
        settings["bootstrap"]["dcs"].update(dcs)
        settings["postgresql"].update(
            listen=database,
            connect_address=database,
            data_dir=str(self.data),
            bin_dir=str(find_programs().folder),
            pg_hba=["local all all trust", "host all,replication all 127.0.0.1/32 trust"],
            parameters={"unix_socket_directories": str(self.folder)},
        )
        # This machine's watchdog would restart it.
        settings["watchdog"]["mode"] = "off"
        return settings

    def role(self):
        """primary, replica, or None while Patroni does not say."""
        try:
            answer = requests.get(f"http://127.0.0.1:{self.rest_port}/patroni", timeout=2).json()
        except (requests.RequestException, ValueError):
            return None
        return answer.get("role") if answer.get("state") == "running" else None

    def pids(self):
        started = (with_children(process.pid) for process in self.processes.values())
        return [*(pid for family in started for pid in family), *self.postgres()]

    def postgres(self):
        try:
            return with_children(int((self.data / "postmaster.pid").read_text().split()[0]))
        except (OSError, ValueError, IndexError):
            return []

    def wal_senders(self):
        return [pid for pid in self.postgres() if b"walsender" in command_line(pid)]

    def freeze(self):
        send(signal.SIGSTOP, self.pids())

    def thaw(self):
        send(signal.SIGCONT, self.pids())

    def kill(self):
        # A stopped process starts no other.
        self.freeze()
        send(signal.SIGKILL, self.pids())
        for process in self.processes.values():
            process.wait()
        self.processes = {}

    def kill_etcd(self):
        etcd = self.processes.pop("etcd")
        etcd.kill()
        etcd.wait()


def send(number, pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def with_children(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in with_children(int(child)))]


class Machines(list):
    """The three machines, with `url`: the database behind HAProxy."""

    url = ""
    are_synchronous = True

    def leader(self):
        return next((each for each in self if each.role() == "primary"), None)

    def streaming(self):
        """The number of standbys that stream. Where commits wait for one, Patroni promotes only
        those that it has noted for that, so only they count."""
        leader = self.leader()
        if leader is None:
            return 0
        role = "quorum_standby" if self.are_synchronous else "replica"
        with suppress(requests.RequestException, ValueError):
            cluster = requests.get(f"http://127.0.0.1:{leader.rest_port}/cluster", timeout=2).json()
            return sum(
                (each["role"], each["state"]) == (role, "streaming") for each in cluster["members"]
            )
        return 0

    def wait_until_whole(self):
        wait_until(lambda: self.streaming() == len(self) - 1, "The standbys do not stream.")


def connected(machine, database="postgres"):
    url = f"postgresql://postgres@127.0.0.1:{machine.port}/{database}"
    return psycopg.connect(url, autocommit=True, connect_timeout=2)


@contextmanager
def haproxy(folder, machines):
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    # Only root may change to HAProxy's user.
    text = text[text.index("defaults") :]
    port = free_port()
    text = text.replace("127.0.0.1:5000", f"127.0.0.1:{port}")
    for number, machine in enumerate(machines, 1):
        address = f"127.0.0.1:{machine.port} check port {machine.rest_port}"
        text, found = re.subn(rf"10\.0\.0\.{number}:5432 check port 8008", address, text)
        assert found == 1
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with (
        open(folder / "haproxy.log", "a") as log,
        subprocess.Popen([path_of("haproxy"), "-f", str(file)], stderr=log) as process,
    ):
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/baywheels"
        finally:
            process.kill()


@contextmanager
def three_machines(folder, **dcs):
    """Start them and an empty database `baywheels`. All is killed at the end."""
    machines = Machines(Machine(name, folder) for name in NAMES)
    machines.are_synchronous = bool(dcs.get("synchronous_mode", True))
    try:
        for machine in machines:
            machine.start_etcd(machines)
        for machine in machines:
            machine.start_patroni(machines, **dcs)
        leader = wait_until(machines.leader, "No machine became the leader.")
        with connected(leader) as connection:
            connection.execute("CREATE DATABASE baywheels")
        with haproxy(folder, machines) as machines.url:
            yield machines
    finally:
        for machine in machines:
            machine.kill()
