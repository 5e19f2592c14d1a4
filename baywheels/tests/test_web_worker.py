"""How web processes share the connections that clients keep open."""

import os
import selectors
import socket
from contextlib import ExitStack
from functools import partial

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from baywheels import web_worker
from baywheels.web_worker import PAUSE, TurnTakingWorker

CLIENTS = 3


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(web_worker, "time", clock)
    return clock


class Process:
    """One of so many that listen together, with clients who have connected already."""

    def __init__(self, stack, workers, clients=CLIENTS):
        cfg = Config()
        cfg.set("workers", workers)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for _ in range(clients):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        self.accepted = []
        self.worker = TurnTakingWorker(0, os.getppid(), [listener], None, 30, cfg, Logger(cfg))
        stack.callback(self.worker.tmp.close)
        self.worker.poller = stack.enter_context(selectors.DefaultSelector())
        self.worker.enqueue_req = lambda conn: self.accepted.append(stack.enter_context(conn.sock))

    def look(self, times):
        """As the worker's own loop does, without its wait."""
        for _ in range(times):
            if not self.worker._accepting:
                self.worker.set_accept_enabled(True)
            self.worker.wait_for_and_dispatch_events(0)
        return len(self.accepted)


@pytest.fixture
def process():
    with ExitStack() as stack:
        yield partial(Process, stack)


def test_after_each_new_connection_the_next_is_left_to_the_other_processes(process, clock):
    one_of_two = process(2)

    assert one_of_two.look(5) == 1
    clock.now += PAUSE
    assert one_of_two.look(5) == 2
    clock.now += PAUSE
    assert one_of_two.look(5) == 3


def test_while_it_pauses_it_wakes_up_in_time_for_the_next(process, clock, monkeypatch):
    one_of_two = process(2)
    one_of_two.look(1)
    waits = []
    monkeypatch.setattr(one_of_two.worker.poller, "select", lambda wait: waits.append(wait) or [])

    for _ in range(3):
        one_of_two.worker.wait_for_and_dispatch_events(1.0)
        clock.now += PAUSE / 2

    assert waits == [PAUSE, PAUSE, PAUSE]
    one_of_two.look(1)
    assert waits[3:] == [0]
    assert one_of_two.worker._accepting


def test_it_does_not_pause_for_a_connection_that_another_process_took(process, clock):
    one_of_two = process(2, clients=0)
    (listener,) = one_of_two.worker.sockets
    listener.setblocking(False)

    one_of_two.worker.accept(listener)

    assert not one_of_two.worker.pauses_until


def test_a_process_alone_takes_all_at_once(process, clock):
    assert process(1).look(CLIENTS) == CLIENTS
