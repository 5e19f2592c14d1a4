"""Servers behind nginx that are stopped and started one after the other, under load."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import requests

from deploy import private

from ..support.server import serve
from ..support.upstreams import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.django_db(transaction=True)]

CLIENTS = 12
STOPS = 5


@contextmanager
def constant_load(url):
    """Keep all clients busy; yield the count of each status that they received."""
    enough = threading.Event()
    statuses = Counter()

    def claim_until_enough():
        session = requests.Session()
        while not enough.is_set():
            answer = session.post(f"{url}/dispatch/next", json={"worker_id": "van-1"}, timeout=30)
            statuses[answer.status_code] += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(claim_until_enough) for _ in range(CLIENTS)]
        try:
            yield statuses
        finally:
            enough.set()
    for client in clients:
        client.result()


@pytest.mark.parametrize("workers", [1, 2])
def test_rolling_stop_loses_no_request(workers):
    need("nginx")
    ports = [private.free_port(), private.free_port()]
    with ExitStack() as servers:
        running = [
            servers.enter_context(serve(workers, port=port, BEHIND_PROXY="true")) for port in ports
        ]
        with private.nginx(ports) as url, constant_load(url) as statuses:
            for stop in range(STOPS):
                running[stop % 2].stop()
                running[stop % 2] = servers.enter_context(
                    serve(workers, port=ports[stop % 2], BEHIND_PROXY="true")
                )

    assert set(statuses) == {404}, statuses
    assert statuses[404] > 100 * STOPS
