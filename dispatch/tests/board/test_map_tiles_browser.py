"""Streets from a tile server: the requests that reach it, and the policy that allows them."""

from base64 import b64decode

import pytest

from ..support.cities import city
from ..support.factories import UserFactory
from ..support.server import serve

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TILES = "https://tiles.example.org"
CREDIT = '© <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors'
PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def server(transactional_db):
    with serve(MAP_TILES=f"{TILES}/{{z}}/{{x}}/{{y}}.png", MAP_ATTRIBUTION=CREDIT) as server:
        yield server


def test_map_loads_tiles_only_from_their_server(browse):
    city(10)
    asked = []

    def answer(route):
        asked.append((route.request.url, route.request.headers.get("referer")))
        route.fulfill(body=PIXEL, content_type="image/png")

    with browse(UserFactory()) as tab:
        tab.page.route(f"{TILES}/**", answer)
        tab.open("/admin/board/?station=4")
        tab.page.locator(".leaflet-tile-loaded").first.wait_for()
        assert "contributors" in tab.page.locator(".leaflet-control-attribution").inner_text()
        # The server learns the console's origin, and no page.
        assert {referer for _, referer in asked} == {f"{tab.url}/"}
        foreign = {what for _, kind, what in tab.complaints if kind == "request"}
        assert foreign == {address for address, _ in asked}
        assert [each for each in tab.complaints if each[1] != "request"] == []

        tab.complaints.clear()
        tab.open("/admin/dispatch/task/")
        with tab.page.expect_event("console"):
            tab.page.evaluate(f"new Image().src = '{TILES}/1/1/1.png'")
        assert "Content Security Policy" in str(tab.complaints), "other pages allow no tiles"
