"""Workers share new connections, and stop without losing any."""

import os
import selectors
import socket
from contextlib import ExitStack
from functools import partial

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from baywheels import web_worker
from baywheels.web_worker import PAUSE_SECONDS, WebWorker

CLIENTS = 3


class Process:
    """One of several worker processes, with clients that have already connected."""

    def __init__(self, stack, workers, clients=CLIENTS):
        cfg = Config()
        cfg.set("workers", workers)
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.address = self.listener.getsockname()
        for _ in range(clients):
            stack.enter_context(socket.create_connection(self.address))
        self.accepted = []
        self.worker = WebWorker(0, os.getppid(), [self.listener], None, 30, cfg, Logger(cfg))
        stack.callback(self.worker.tmp.close)
        self.worker.poller = stack.enter_context(selectors.DefaultSelector())
        self.worker.enqueue_req = lambda conn: self.accepted.append(stack.enter_context(conn.sock))
        self.worker.set_accept_enabled(True)


@pytest.fixture
def process():
    with ExitStack() as stack:
        yield partial(Process, stack)


@pytest.fixture
def pauses(monkeypatch):
    pauses = []
    monkeypatch.setattr(web_worker.time, "sleep", pauses.append)
    return pauses


def test_worker_leaves_the_next_connection_to_the_others(process, pauses):
    one_of_two = process(workers=2)

    one_of_two.worker.wait_for_and_dispatch_events(0)

    assert len(one_of_two.accepted) == 1
    assert pauses == [PAUSE_SECONDS]


def test_worker_does_not_pause_when_another_was_faster(process, pauses):
    one_of_two = process(workers=2, clients=0)

    one_of_two.worker.accept(one_of_two.listener)

    assert not pauses


def test_only_worker_does_not_pause(process, pauses):
    alone = process(workers=1)

    alone.worker.wait_for_and_dispatch_events(0)

    assert len(alone.accepted) == 1
    assert not pauses


@pytest.mark.parametrize("reason", ["stopped", "orphaned"])
def test_stopping_worker_accepts_its_backlog_and_refuses_others(process, pauses, reason):
    one_of_two = process(workers=2)
    if reason == "stopped":
        one_of_two.worker.alive = False
    else:
        one_of_two.worker.ppid = -1

    one_of_two.worker.set_accept_enabled(False)

    assert len(one_of_two.accepted) == CLIENTS
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(one_of_two.address)


def test_worker_with_too_many_connections_keeps_listening(process, pauses):
    one_of_two = process(workers=2)

    one_of_two.worker.set_accept_enabled(False)

    assert not one_of_two.accepted
    with socket.create_connection(one_of_two.address):
        pass
