"""Names in right-to-left scripts do not reorder the text around them."""

import pytest
from django.utils import timezone

from dispatch import services
from dispatch.admin.history import describe_event
from dispatch.models import TaskEvent
from dispatch.planning.inventory import StationCapacity, caveats, shortfalls

from ..support.factories import (
    StationFactory,
    StationStatusFactory,
    SuggestionFactory,
    TaskFactory,
    UserFactory,
)

WEST, EAST = "غرب 1", "מזרח (2)"
CREW, REASON = "فريق 7", "המשאית מלאה, 3"


def isolate(text):
    return f"\u2068{text}\u2069"


@pytest.fixture
def moves():
    """A suggestion and two tasks from WEST to EAST, one of them held by CREW."""
    stations = [StationFactory(id=901, name=WEST), StationFactory(id=902, name=EAST)]
    for station in stations:
        StationStatusFactory(station=station, bikes=1, docks=3, as_of=timezone.now())
    ends = {"from_station_id": 901, "to_station_id": 902, "qty": 5, "reason": REASON}
    return SuggestionFactory(**ends), TaskFactory(**ends, assigned=True, worker_id=CREW)


def test_sentences_isolate_right_to_left_station_names():
    west = StationCapacity(WEST, bikes=2, docks=1)
    east = StationCapacity(EAST, bikes=2, docks=1, in_service=False)
    assert shortfalls(5, west, east) == [
        f"Only 2 of 5 bikes can leave {isolate(WEST)} (2 there).",
        f"Only 1 of 5 bikes fit at {isolate(EAST)} (1 dock free).",
    ]
    assert caveats(west, east) == [f"{isolate(EAST)} is out of service."]


@pytest.mark.django_db
def test_history_isolates_right_to_left_names_and_reasons(moves):
    task = services.release_task(moves[1].pk, actor=CREW, reason=REASON)
    event = TaskEvent.objects.get(task_id=task.pk, kind="released")
    summary = f"{isolate(CREW)} released the task from {isolate(CREW)}; it is ready again"
    assert describe_event(event) == (summary, [f"Reason: {isolate(REASON)}"])


@pytest.mark.django_db
def test_titles_and_labels_isolate_right_to_left_names(moves, dispatcher):
    station = dispatcher.get("/admin/dispatch/station/901/change/").content.decode()
    assert f"<title>{isolate(WEST)} |" in station


# The left edge of each word, in the order in which a sentence has them. On one line: where a
# sentence wraps, a later word may be further left.
LEFT_EDGES = """([selector, words]) => {
  const element = document.querySelector(selector);
  element.style.whiteSpace = "nowrap";
  const edges = [];
  for (const word of words) {
    const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (nodes.nextNode()) {
      const at = nodes.currentNode.data.indexOf(word);
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(nodes.currentNode, at);
      range.setEnd(nodes.currentNode, at + word.length);
      edges.push(range.getBoundingClientRect().left);
      break;
    }
  }
  return edges;
}"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_right_to_left_names_stay_on_their_side_of_the_arrow(browse, moves):
    suggestion, task = moves
    suggestions, tasks = "/admin/dispatch/suggestion/", "/admin/dispatch/task/"
    route = (WEST, "→", EAST)
    places = [
        *[
            (page, "#content .move", end)
            for page in (
                suggestions,
                f"{suggestions}{suggestion.pk}/change/",
                tasks,
                f"{tasks}{task.pk}/change/",
            )
            for end in (("○", WEST), ("→", EAST))
        ],
        ("/admin/dispatch/station/901/change/", ".history li", (*route[::2],)),
        ("/admin/dispatch/station/901/change/", ".history .detail", ("assigned", CREW)),
        ("/admin/board/", ".queue .ends", route),
        ("/admin/board/", ".queue .about", (f"#{task.pk}", CREW)),
        ("/admin/board/", ".review .about", (f"#{suggestion.pk}", REASON)),
        ("/admin/board/", ".review .guard", (WEST, "has no bike", "(1 there")),
        ("/admin/board/?station=901", "#station-panel li", ("\u22125", EAST, CREW, f"#{task.pk}")),
    ]
    reordered = []
    with browse(UserFactory()) as tab:
        tab.page.set_viewport_size({"width": 1600, "height": 900})

        def check(selector, words):
            edges = tab.page.evaluate(LEFT_EDGES, [selector, words])
            assert len(edges) == len(words), (tab.page.url, selector)
            if edges != sorted(edges):
                reordered.append((tab.page.url, selector))

        for path, selector, words in places:
            tab.open(path)
            check(selector, words)
        tab.open(suggestions)
        tab.press(".row-action.reject")
        check(".moves li", (f"#{suggestion.pk}", *route, REASON))
        tab.open(suggestions)
        tab.press(".row-action.approve")
        # No bike fits, so the console asks first.
        tab.press("form.confirm [type=submit]")
        check(".messagelist li.warning", ("Task", WEST, " to ", EAST))
        check(".messagelist li.warning + .warning", (WEST, "has no bike", "(1 there"))
    assert reordered == []
    assert tab.complaints == []
