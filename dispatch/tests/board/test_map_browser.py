"""The map in a real browser: its view, its stations and moves, and the card beside it."""

from functools import partial

import pytest

from dispatch.models import StationStatus

from ..support.cities import city, station
from ..support.factories import UserFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

BOARD = "/admin/board/"

# The point of the page at which the map shows a station, from the view that the map remembers.
POINT_OF = """async (number) => {
  const [lat, lng, zoom] = JSON.parse(sessionStorage.getItem("map view"));
  const { features } = await (await fetch("/admin/board/stations.geojson")).json();
  const [x, y] = features.find(({ id }) => id === number).geometry.coordinates;
  const pixels = (...at) => L.CRS.EPSG3857.latLngToPoint(L.latLng(...at), zoom);
  const gap = pixels(y, x).subtract(pixels(lat, lng));
  const map = document.getElementById("map").getBoundingClientRect();
  return [map.x + map.width / 2 + gap.x, map.y + map.height / 2 + gap.y];
}"""
# The colour that the canvas shows there.
COLOR_AT = """([x, y]) => {
  const drawn = document.querySelector("#map canvas");
  const box = drawn.getBoundingClientRect();
  const scale = drawn.width / box.width;
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = pixel.getContext("2d", { willReadFrequently: true });
  context.drawImage(drawn, (box.x - x) * scale, (box.y - y) * scale);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}"""
EMPTY, FULL = [213, 94, 0], [0, 114, 178]


@pytest.fixture
def on_map(browse):
    """Open tabs without animations: the map is at rest after each step."""
    return partial(browse, reduced_motion="reduce")


def open_map(tab, path=BOARD):
    tab.open(path)
    tab.page.locator(".station-cursor").wait_for(state="attached")


def point_of(page, number):
    return page.evaluate(POINT_OF, number)


def color_of(page, number):
    return page.evaluate(COLOR_AT, point_of(page, number))


def eventually(page, read, wanted):
    """Wait until a reading is as wanted. The page's policy forbids Playwright's own waiting."""
    for _ in range(100):
        if read() == wanted:
            return
        page.wait_for_timeout(50)
    assert read() == wanted


def pick(page, number):
    page.mouse.click(*point_of(page, number))


def view(page):
    return page.evaluate("JSON.parse(sessionStorage.getItem('map view'))")


def refresh(page):
    with page.expect_response(lambda answer: "state.json" in answer.url):
        page.locator("#refresh").click()


def hold(page, address):
    """Collect the requests for an address; each waits until the test answers it."""
    held = []
    page.route(address, held.append)
    return held


def heading(page, number):
    page.locator("#station-panel").get_by_role("heading", name=f"Station {number}").wait_for()


def test_stations_are_drawn_in_the_color_of_their_state(on_map):
    station(1, 0, 20, lat=37.77)
    station(2, 20, 0, lat=37.79)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        assert (color_of(tab.page, 1), color_of(tab.page, 2)) == (EMPTY, FULL)
    assert tab.complaints == []


def test_refresh_recolors_a_station_and_keeps_view_and_card(on_map):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        pick(page, 5)
        heading(page, 5)
        page.locator(".leaflet-control-zoom-in").click()
        before = view(page)
        assert color_of(page, 5) == EMPTY
        StationStatus.objects.filter(pk=5).update(bikes=20, docks=0)
        refresh(page)
        eventually(page, lambda: color_of(page, 5), FULL)
        assert view(page) == before
        heading(page, 5)
    assert tab.complaints == []
