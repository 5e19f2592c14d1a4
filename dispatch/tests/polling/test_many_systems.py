"""A real poller with twenty real servers, some of which fail, killed and started again."""

import time
from contextlib import contextmanager

import pytest
from django.db.models.functions import Now

from dispatch.models import StationFeed, System

from ..support import feed_sites
from ..support.server import running_command

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SYSTEMS = 20
LONGEST_WAIT = 60


@pytest.fixture
def sites(monkeypatch):
    """Four sites fail, each in its own way; all others answer well."""
    monkeypatch.setenv("FEED_ALLOW_NETWORKS", "127.0.0.0/8")
    with feed_sites.serving(SYSTEMS) as sites:
        for site in sites:
            System.objects.create(name=site.name, address=f"{site.url}/gbfs.json")
        yield sites


def wait_until(condition):
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def polling(*arguments):
    """Run the poller. Its output is read only after its end."""
    with running_command("poll_status", "--every", "1", *arguments) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def troubles():
    feeds = StationFeed.objects.filter(kind="status").exclude(trouble="")
    return {feed.system: feed.trouble for feed in feeds}


def break_four(sites):
    ways = (feed_sites.hang, feed_sites.fail, feed_sites.refuse, feed_sites.answer_badly)
    for site, way in zip(sites, ways, strict=False):
        site.answer = way
    return sites[:4], sites[4:]


def test_failing_systems_delay_no_other(sites):
    (hanging, failing, refusing, bad), well = break_four(sites)

    with polling("--threads", "8"):
        wait_until(lambda: all(len(site.polls()) >= 5 for site in well))
        wait_until(lambda: len(troubles()) == 4)

    assert len(hanging.polls()) <= 3
    assert len(refusing.polls()) == 1
    found = troubles()
    assert "took too long" in found[hanging.name] or "timed out" in found[hanging.name].lower()
    assert "500" in found[failing.name]
    assert "429" in found[refusing.name]
    assert found.keys() == {site.name for site in (hanging, failing, refusing, bad)}


def test_killed_poller_is_replaced_without_asking_too_soon(sites):
    _, _, refusing, *others = sites
    refusing.answer = feed_sites.refuse
    with polling() as process:
        wait_until(lambda: all(site.polls() for site in sites))
        wait_until(lambda: refusing.name in troubles())
        process.kill()
        process.wait()
    # The feeds that the killed poller was reading stay leased for three minutes.
    System.objects.exclude(name=refusing.name).update(due_at=Now())
    before = {site.name: len(site.polls()) for site in others}

    with polling():
        wait_until(lambda: all(len(site.polls()) > before[site.name] for site in others))

    assert len(refusing.polls()) == 1


def test_poller_stops_at_once_and_leaves_no_lease(sites):
    [hanging, *others] = sites
    hanging.answer = feed_sites.hang
    with polling() as process:
        wait_until(lambda: hanging.polls() and all(site.polls() for site in others))
        begin = time.monotonic()
        process.terminate()
        assert process.wait(LONGEST_WAIT) == 0
        assert time.monotonic() - begin < 10
        assert process.stderr.read() == ""

    assert System.objects.due().filter(name=hanging.name).exists()
