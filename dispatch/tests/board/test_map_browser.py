"""The map in a real browser: its view, its stations and moves, and the card beside it."""

from functools import partial

import pytest

from dispatch.models import Station, StationStatus

from ..support.cities import city, station
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.hostile_texts import PAYLOADS

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
ON_MAP = "([x, y]) => document.elementFromPoint(x, y).closest('#map') !== null"
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

    def keep(route):
        held.append(route)

    page.route(address, keep)
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


# The view


def test_map_pans_zooms_and_fits_an_area(on_map):
    for number in range(1, 5):
        station(number, lat=37.77 + 0.01 * number, area="SF")
    for number in range(11, 14):
        station(number, lat=37.33 + 0.01 * number, lon=-121.89, area="SJ")

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        lat, _, zoom = view(page)
        assert lat == pytest.approx(37.795, abs=0.001), "the largest area first"

        x, y = point_of(page, 2)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 80, y, steps=4)
        page.mouse.up()
        assert point_of(page, 2) == pytest.approx([x + 80, y], abs=2)
        page.locator(".leaflet-control-zoom-out").click()
        assert view(page)[2] < zoom

        page.get_by_role("button", name="SJ").click()
        assert view(page)[:2] == pytest.approx([37.45, -121.89], abs=0.001)
        page.get_by_role("button", name="All areas").click()
        assert view(page)[0] == pytest.approx(37.63, abs=0.1)
        page.reload()
        page.locator(".station-cursor").wait_for(state="attached")
        assert view(page)[0] == pytest.approx(37.63, abs=0.1), "the last view"
    assert tab.complaints == []


def test_filtering_by_area_zooms_to_it(on_map):
    for number in range(1, 5):
        station(number, lat=37.77 + 0.01 * number, area="SF")
    station(11, lat=37.33, lon=-121.89, area="SJ")

    with on_map(UserFactory()) as tab:
        open_map(tab)
        tab.page.select_option("[name=area]", "SJ")
        assert view(tab.page)[:2] == pytest.approx([37.33, -121.89], abs=0.001)
        open_map(tab, BOARD + "?area=SF")
        assert view(tab.page)[0] == pytest.approx(37.795, abs=0.001)
    assert tab.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stations_follow_a_change_of_theme(on_map, theme):
    station(1, 10, 10)

    with on_map(UserFactory(), color_scheme=theme) as tab:
        open_map(tab)
        before = color_of(tab.page, 1)
        tab.page.emulate_media(color_scheme="dark" if theme == "light" else "light")
        tab.page.locator("#map").evaluate("() => new Promise(requestAnimationFrame)")
        assert color_of(tab.page, 1) != before
    assert tab.complaints == []


def test_board_without_scripts_leads_to_the_station_list(browse):
    station(1)

    with browse(UserFactory(), java_script_enabled=False) as tab:
        tab.open(BOARD)
        assert tab.page.locator("#map").is_hidden()
        tab.press(".city noscript a")
        assert tab.page.locator("#result_list tbody tr").count() == 1
    assert tab.complaints == []


def test_large_city_is_drawn_with_few_elements(on_map):
    Station.objects.bulk_create(
        Station(
            id=number,
            system="test",
            name=f"Station {number}",
            lat=40.6 + 0.005 * (number // 47),
            lon=-74 + 0.005 * (number % 47),
        )
        for number in range(2_200)
    )

    with on_map(UserFactory()) as tab:
        open_map(tab)
        assert tab.page.locator("#map *").count() < 200
    assert tab.complaints == []


def test_station_that_a_feed_adds_appears_with_a_refresh(on_map):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        tab.page.locator("#station-list > summary").click()
        station(11, 0, 20, lat=37.771)
        refresh(tab.page)
        tab.page.locator("#station-list tr#s11").wait_for()
        assert color_of(tab.page, 11) == EMPTY
        Station.objects.get(pk=11).delete()
        refresh(tab.page)
        tab.page.locator("#station-list tr#s11").wait_for(state="detached")
    assert tab.complaints == []


# Moves


def test_rows_and_arrows_mark_each_other(on_map):
    city(10)
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=9)
    task = TaskFactory(from_station_id=10, to_station_id=8)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        row = page.locator(f"#p{suggestion.id}")
        arrow = page.locator(f"[data-row=p{suggestion.id}]")
        row.locator(".qty").hover()
        assert "marked" in arrow.get_attribute("class")
        page.locator(f"#t{task.id}").focus()
        page.locator("#map").hover(position={"x": 5, "y": 200})
        assert "marked" in page.locator(f"[data-row=t{task.id}]").get_attribute("class")
        assert "marked" not in arrow.get_attribute("class")

        middle = arrow.evaluate(
            """path => {
                const { x, y } = path.getPointAtLength(path.getTotalLength() / 3);
                const at = new DOMPoint(x, y).matrixTransform(path.getScreenCTM());
                return [at.x, at.y];
            }"""
        )
        page.mouse.move(*middle)
        assert "marked" in row.get_attribute("class")
        tip = page.locator(".leaflet-tooltip:not(.station-name)").inner_text()
        assert tip == "suggestion: 5 bikes, Station 1 → Station 9"
        page.mouse.click(*middle)
        assert page.evaluate("document.activeElement.id") == f"p{suggestion.id}"
    assert tab.complaints == []


def test_move_between_neighbours_is_long_enough_to_see(on_map):
    station(1, lat=37.7700)
    station(2, lat=37.7701)
    station(3, lat=37.9)
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=2)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        arrow = tab.page.locator(f"[data-row=p{suggestion.id}]")
        assert arrow.evaluate("path => path.getTotalLength()") > 30
    assert tab.complaints == []


def test_move_across_areas_is_drawn(on_map):
    station(1, area="SF")
    station(2, lat=37.33, lon=-121.89, area="SJ")
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=2)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        tab.page.get_by_role("button", name="All areas").click()
        box = tab.page.locator(f"[data-row=p{suggestion.id}]").bounding_box()
        assert box["width"] > 100
        assert box["height"] > 100
    assert tab.complaints == []


# Stations and their card


@pytest.mark.parametrize(("width", "touch"), [(1440, False), (1024, True), (390, True)])
def test_card_does_not_cover_its_station(on_map, width, touch):
    city(40)
    suggestion = SuggestionFactory(from_station_id=20, to_station_id=21)
    size = {"width": width, "height": 800}

    with on_map(UserFactory(), viewport=size, has_touch=touch) as tab:
        open_map(tab, BOARD + "#city")
        page = tab.page
        for number in (19, 1):
            page.get_by_role("button", name="All stations").click()
            pick(page, number)
            heading(page, number)
            on_top = page.evaluate(ON_MAP, point_of(page, number))
            assert on_top, "nothing lies over the station"
        if width == 390:
            page.locator(".tabs").get_by_text("Suggestions").click()
        page.locator(f"#p{suggestion.id} a[href='?station=20']").click()
        heading(page, 20)
        assert page.locator(".station-cursor.selected").get_attribute("data-station") == "20"
    assert tab.complaints == []


def test_arrow_keys_move_between_stations_and_enter_opens_one(on_map):
    city(40)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        cursor = page.locator(".station-cursor")
        assert cursor.count() == 1, "one Tab stop for all stations"
        cursor.focus()
        assert cursor.get_attribute("aria-label").endswith(": empty, 0 bikes · 20 docks free")
        start = cursor.bounding_box()["x"]
        page.keyboard.press("ArrowRight")
        assert cursor.bounding_box()["x"] > start
        number = int(page.evaluate("document.activeElement.dataset.station"))
        page.keyboard.press("Enter")
        heading(page, number)
        assert page.locator("#station-panel time.age").inner_text() == "1 min ago"
        page.keyboard.press("Escape")
        assert page.locator("#station-panel").is_hidden()
        assert page.evaluate("document.activeElement.dataset.station") == str(number)
        zoom = view(page)[2]
        page.keyboard.press("+")
        assert view(page)[2] > zoom
    assert tab.complaints == []


def test_card_opens_the_form_of_a_move_from_or_to_its_station(on_map):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab, BOARD + "?station=4")
        card = tab.page.locator("#station-panel")
        for text, field in [("Take bikes from here", "from"), ("Bring bikes here", "to")]:
            address = card.get_by_role("link", name=text).get_attribute("href")
            assert address == f"/admin/dispatch/task/add/?{field}_station_id=4"
        place = card.get_by_role("link", name="maps app").get_attribute("href")
        assert place == "geo:37.77000,-122.41200?q=37.77000,-122.41200(Station%204)"
    assert tab.complaints == []


def test_station_list_filters_sorts_and_opens_the_card(on_map):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        page.locator("#n-empty a").click()
        rows = page.locator("#station-list tbody tr:visible")
        assert rows.locator("th").all_inner_texts() == ["Station 10", "Station 5"]
        page.select_option("#state", "")
        page.locator("#station-list thead button", has_text="Bikes").click()
        assert rows.first.inner_text().split("\t") == ["Station 10", "empty", "0", "20", "0"]
        page.fill("#find", "station 4")
        rows.locator("a").click()
        heading(page, 4)
    assert tab.complaints == []


def test_names_on_the_map_are_never_executed(browse):
    for number, payload in enumerate(PAYLOADS, start=1):
        station(number, 0, 20, name=payload, lat=37.77 + 0.001 * number)
    SuggestionFactory(from_station_id=1, to_station_id=2)

    with browse(UserFactory(), bypass_csp=True, reduced_motion="reduce") as tab:
        open_map(tab)
        page = tab.page
        for number in range(1, len(PAYLOADS) + 1):
            page.mouse.move(*point_of(page, number))
        assert page.locator(".station-name").count() > 0
        assert page.evaluate("window.owned") is None
    assert tab.complaints == []


@pytest.mark.parametrize("status", [None, 502, 503])
def test_card_that_fails_to_load_shows_no_other_station(on_map, status):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        pick(page, 4)
        page.get_by_role("heading", name="Station 4").wait_for()
        page.route(
            "**/stations/5/",
            lambda route: (
                route.fulfill(status=status, content_type="text/html", body="<p>Down</p>")
                if status
                else route.abort()
            ),
        )
        pick(page, 5)
        page.locator("#station-panel").get_by_text(
            "No reply from the server. Try again."
        ).wait_for()
        assert "Station 4" not in page.locator("#station-panel").inner_text()
        page.locator("#station-panel .close").click()
        assert page.locator("#station-panel").is_hidden()
        page.unroute_all()
        pick(page, 5)
        page.get_by_role("heading", name="Station 5").wait_for()


def test_late_card_does_not_open_after_close_or_switch(on_map):
    city(10)

    with on_map(UserFactory()) as tab:
        open_map(tab)
        page = tab.page
        held = hold(page, "**/stations/5/")

        def answer_late():
            with page.expect_response("**/stations/5/"):
                held.pop().continue_()
            # A request sent now is answered after it.
            page.evaluate("fetch('stations/7/').then((answer) => answer.text())")

        pick(page, 4)
        page.get_by_role("heading", name="Station 4").wait_for()
        with page.expect_request("**/stations/5/"):
            pick(page, 5)
        page.locator("#station-panel").press("Escape")
        answer_late()
        assert page.locator("#station-panel").is_hidden()

        with page.expect_request("**/stations/5/"):
            pick(page, 5)
        pick(page, 6)
        page.get_by_role("heading", name="Station 6").wait_for()
        answer_late()
        assert page.locator("#station-panel h3").inner_text() == "Station 6"
        assert page.locator(".station-cursor.selected").get_attribute("data-station") == "6"
    assert tab.complaints == []
