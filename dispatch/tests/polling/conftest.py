import json
from collections import defaultdict

import pytest

from dispatch.gbfs import Answer, BadFeed, Validators, sources
from dispatch.models import System

from ..support.feeds import a_station, a_status, document


class Web:
    """Systems on the web. `answers`: of each address; None: not modified. `asked`: requests."""

    def __init__(self):
        self.answers, self.asked = {}, defaultdict(list)

    def add(self, name, **fields):
        self.serves(name)
        return System.objects.create(
            name=name, address=f"https://{name}.example/gbfs.json", **fields
        )

    def serves(self, name):
        site = f"https://{name}.example"
        names = ("station_information", "station_status")
        feeds = [{"name": each, "url": f"{site}/{each}"} for each in names]
        self.answers[f"{site}/gbfs.json"] = json.dumps({"data": {"feeds": feeds}}).encode()
        self.answers[f"{site}/station_information"] = document([a_station("3"), a_station("4")])
        self.answers[f"{site}/station_status"] = document([a_status("3", 0), a_status("4")])

    def fetch(self, source, validators, access, deadline):
        self.asked[source].append(validators)
        answer = self.answers[source]
        if isinstance(answer, Exception):
            raise answer
        return answer and Answer(answer, Validators('"v2"', ""))

    def paths(self, name):
        """Return the number of requests by path."""
        site = f"https://{name}.example/"
        found = {url.removeprefix(site): len(each) for url, each in self.asked.items()}
        return {path: number for path, number in found.items() if "://" not in path}

    def fails(self, name, why="Down.", retry_after=0):
        for each in ("gbfs.json", "station_information", "station_status"):
            self.answers[f"https://{name}.example/{each}"] = BadFeed(why, retry_after)


@pytest.fixture
def web(monkeypatch):
    web = Web()
    monkeypatch.setattr(sources, "fetch", web.fetch)
    return web
