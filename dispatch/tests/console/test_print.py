"""Pages on paper."""

import pytest

from ..support.cities import city
from ..support.factories import SuggestionFactory, TaskFactory, UserFactory
from ..support.kpi_shift import pruned

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# A4 in CSS pixels, between margins of 10 mm.
PORTRAIT, LANDSCAPE = {"width": 718, "height": 1047}, {"width": 1047, "height": 718}
CONTROLS = "button, select, input:not([type=hidden]), #header"


@pytest.fixture(params=[PORTRAIT, LANDSCAPE], ids=["portrait", "landscape"])
def paper(request, browse):
    city(20)
    for number in range(1, 15):
        SuggestionFactory(from_station_id=number, to_station_id=number + 1)
        TaskFactory(from_station_id=number, to_station_id=number + 1)
    with browse(UserFactory(), viewport=request.param) as tab:
        tab.page.emulate_media(media="print")
        yield tab
    assert tab.complaints == []


def test_panels_of_the_board_are_printed_in_full_one_below_the_other(paper):
    paper.open("/admin/board/")
    boxes = [panel.bounding_box() for panel in paper.page.locator(".panel").all()]
    bottoms = [box["y"] + box["height"] for box in boxes]
    assert all(top["y"] >= bottom for top, bottom in zip(boxes[1:], bottoms, strict=False))
    for rows in paper.page.locator(".rows").all():
        assert rows.evaluate("list => list.scrollHeight - list.clientHeight") <= 0


@pytest.mark.parametrize(
    "path",
    ["/admin/board/", "/admin/kpi/", "/admin/dispatch/task/", "/admin/dispatch/suggestion/"],
)
def test_controls_are_not_printed_and_nothing_is_cut_off(paper, path):
    paper.open(path)
    assert [each for each in paper.page.locator(CONTROLS).all() if each.is_visible()] == []
    over = paper.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert over <= 0


def test_tables_of_crews_and_areas_fit_the_page(paper):
    pruned()
    paper.open("/admin/kpi/?from=2015-05-04&to=2015-05-04")
    over = paper.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert over <= 0
