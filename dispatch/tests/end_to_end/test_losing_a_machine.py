"""A database machine fails under load: nothing acknowledged is lost, and work goes on."""

import signal
import time

import pytest

from ..support.drills import LONGEST_GAP_SECONDS, nightly, service_on_three_machines, work_goes_on
from ..support.machines import send, wait_until, with_children

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(900)]
# Longer than Patroni's ttl: without its failsafe mode, the leader would have stepped down.
WITHOUT_ETCD_SECONDS = 30
# Claims wait no longer than this while etcd is away.
LONGEST_GAP_WITHOUT_ETCD_SECONDS = 10


@pytest.fixture
def service(tmp_path):
    with service_on_three_machines(tmp_path) as service:
        yield service


def kill_machine(machine):
    machine.kill()


def kill_postgres(machine):
    send(signal.SIGKILL, machine.postgres())


def test_nothing_acknowledged_is_lost_with_the_leader(service):
    machines = service.machines
    for fault in (kill_machine, kill_postgres):
        with service.at_work() as books:
            leader = machines.leader()
            fault(leader)
        service.check(books)
        if not leader.processes:
            leader.start_etcd(machines)
            leader.start_patroni(machines)
        machines.wait_until_whole()


@nightly
def test_asynchronous_replication_loses_acknowledged_work(tmp_path):
    dcs = {"synchronous_mode": False, "maximum_lag_on_failover": 100_000_000}
    with service_on_three_machines(tmp_path, **dcs) as service:
        with service.at_work() as books:
            leader = service.machines.leader()
            send(signal.SIGSTOP, leader.wal_senders())
            work_goes_on(books)
            leader.kill()
        found, _ = service.tasks()
        lost = books.lost(found)
        print(f"{len(lost)} of {len(books.claims) + len(books.completions)} lost")
        assert lost


def freeze_machine(machine):
    machine.freeze()


def freeze_patroni(machine):
    send(signal.SIGSTOP, with_children(machine.processes["patroni"].pid))


@nightly
def test_frozen_leader_is_replaced_and_loses_nothing(service):
    for freeze in (freeze_machine, freeze_patroni):
        with service.at_work() as books:
            freeze_and_thaw_leader(service.machines, freeze, books)
        service.check(books)


def freeze_and_thaw_leader(machines, freeze, books):
    leader = machines.leader()
    others = [each for each in machines if each is not leader]
    freeze(leader)
    wait_until(lambda: any(each.role() == "primary" for each in others), "No new leader.")
    work_goes_on(books)
    # It still takes itself for the leader.
    leader.thaw()
    wait_until(lambda: leader.role() == "replica", "The old leader does not follow.")
    machines.wait_until_whole()


@nightly
def test_claims_go_on_without_etcd_and_wait_if_the_leader_dies_too(service):
    machines = service.machines
    leader = machines.leader()
    others = [each for each in machines if each is not leader]
    with service.at_work() as books:
        for machine in others:
            machine.kill_etcd()
        time.sleep(WITHOUT_ETCD_SECONDS)
        assert leader.role() == "primary"
    service.check(books, LONGEST_GAP_WITHOUT_ETCD_SECONDS)

    with service.at_work() as books:
        leader.kill()
        time.sleep(WITHOUT_ETCD_SECONDS)
        # No one may decide which standby leads.
        assert not any(each.role() == "primary" for each in others)
        for machine in others:
            machine.start_etcd(machines)
    service.check(books, WITHOUT_ETCD_SECONDS + LONGEST_GAP_SECONDS)
