"""A new version is deployed while the city works: docs/operations.md, "Deploy a new version"."""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
import requests

from baywheels.embedded.cluster import Cluster
from deploy import private

from ..support.server import ROOT, serve
from ..support.traffic import traffic
from ..support.upstreams import need
from ..support.versions import next_version, previous_version

pytestmark = [pytest.mark.slow, pytest.mark.own_connections, pytest.mark.timeout(900)]

ACCOUNT = "maria", "only-for-this-test"
# Of all clients together; on a quiet machine it is a fraction of a second.
LONGEST_GAP_SECONDS = 30


@pytest.fixture
def database(tmp_path):
    cluster = Cluster(tmp_path / "db")
    cluster.start()
    try:
        yield cluster.url
    finally:
        cluster.stop()


def manage(folder, database, *arguments):
    name, password = ACCOUNT
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "DATABASE_URL": database,
            "SECRET_KEY": "k" * 50,
            "ALLOWED_HOSTS": "127.0.0.1",
            "DJANGO_SUPERUSER_USERNAME": name,
            "DJANGO_SUPERUSER_PASSWORD": password,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Site:
    """Two servers behind nginx; `restart` replaces one of them by another version's."""

    def __init__(self, stack, database):
        self.stack, self.database = stack, database
        self.ports = [private.free_port(), private.free_port()]
        self.servers = [None, None]

    def restart(self, number, folder):
        if self.servers[number]:
            self.servers[number].stop()
        self.servers[number] = self.stack.enter_context(
            serve(
                2,
                port=self.ports[number],
                folder=folder,
                DATABASE_URL=self.database,
                BEHIND_PROXY="true",
            )
        )

    def versions(self):
        """Return the version that each server runs."""
        schemas = [requests.get(f"{each.url}/openapi.json", timeout=60) for each in self.servers]
        return [schema.json()["info"]["version"] for schema in schemas]


@contextmanager
def site_at_work(database, folder):
    """Yield two servers of a version, on its own schema, and the traffic through nginx."""
    need("nginx")
    manage(folder, database, "migrate", "--verbosity=0")
    manage(folder, database, "createsuperuser", "--noinput", "--email=maria@example.org")
    with ExitStack() as stack:
        site = Site(stack, database)
        for number in (0, 1):
            site.restart(number, folder)
        with private.nginx(site.ports) as url, traffic(url, database, ACCOUNT) as books:
            books.goes_on()
            yield site, books


def deploy_and_go_back(site, books, former, new):
    """Migrate, restart both servers, and return one to the former version."""
    manage(new, site.database, "migrate", "--verbosity=0")
    books.goes_on()
    before = site.versions()
    for number in (0, 1):
        site.restart(number, new)
        books.goes_on()
    deployed = site.versions()
    site.restart(0, former)
    books.goes_on()
    assert before[0] == before[1]
    assert deployed[0] == deployed[1]
    assert site.versions() == [before[0], deployed[1]]
    assert before[0] != deployed[0]


def check(database, books, folder):
    books.check()
    manage(folder, database, "preflight")
    manage(folder, database, "check_invariants")
    statuses = sorted(books.statuses.items(), key=str)
    print(f"gap {books.longest_gap():.1f} s, slowest answer {books.slowest:.1f} s, {statuses}")
    assert books.longest_gap() <= LONGEST_GAP_SECONDS


def test_deploy_of_the_next_version_loses_nothing(database, tmp_path):
    new = next_version(tmp_path)

    with site_at_work(database, ROOT) as (site, books):
        deploy_and_go_back(site, books, ROOT, new)

    assert (books.answers_in_doubt(), books.rolled_back) == (0, 0)
    check(database, books, new)


def test_deploy_from_the_previous_version_loses_nothing(database, tmp_path):
    former = previous_version(tmp_path)

    with site_at_work(database, former) as (site, books):
        deploy_and_go_back(site, books, former, ROOT)

    check(database, books, ROOT)
