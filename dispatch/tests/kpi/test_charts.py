from xml.etree import ElementTree

import pytest
from django.template.loader import render_to_string

from dispatch.kpi.charts import HEIGHT, WIDTH, Series, bar_chart, charts_over_time, round_up
from dispatch.kpi.stockouts import Share
from dispatch.kpi.work import WorkDone

HOURS = [f"{hour:02}:00" for hour in range(24)]


def test_bars_are_stacked_and_as_high_as_their_values():
    chart = bar_chart(
        "Stations",
        ["a", "b"],
        [Series("empty", "empty", [1.5, 0]), Series("full", "full", [2.5, 3])],
        " %",
    )

    one, other = chart.columns
    assert chart.top == "5 %"
    assert [(bar.key, bar.y, bar.height) for bar in one.bars] == [
        ("empty", 70, 30),
        ("full", 20, 50),
    ]
    assert [(bar.key, bar.y, bar.height) for bar in other.bars] == [("full", 40, 60)]
    assert (one.x, other.x, one.width) == (0, WIDTH / 2, WIDTH / 2)
    assert one.title == "a: empty 1.5 %, full 2.5 %"
    assert chart.summary == "Stations: from 3 % at b to 4 % at a"
    assert [series.key for series in chart.legend] == ["empty", "full"]


@pytest.mark.parametrize(("columns", "labelled"), [(1, 1), (4, 4), (7, 4), (11, 4), (31, 4)])
def test_at_most_four_columns_have_a_label_below_them(columns, labelled):
    labels = [f"{number}" for number in range(columns)]

    ticks = bar_chart("Tasks", labels, [Series("done", "tasks", [1] * columns)]).ticks

    assert len(ticks) == columns
    assert len([tick for tick in ticks if tick]) == labelled
    assert ticks[0] == "0"


def test_unknown_value_has_no_bar_and_is_called_unknown():
    chart = bar_chart("Tasks", ["a", "b"], [Series("done", "tasks", [None, 1200])])

    assert [len(column.bars) for column in chart.columns] == [0, 1]
    assert chart.columns[0].title == "a: unknown"
    assert chart.columns[1].title == "b: tasks 1,200"
    assert chart.summary == "Tasks: from 1,200 at b to 1,200 at b"
    assert chart.legend == []


def test_chart_without_values_is_still_valid():
    assert bar_chart("Tasks", ["a"], [Series("done", "tasks", [None])]).summary == "Tasks: unknown"
    assert bar_chart("Tasks", ["a"], [Series("done", "tasks", [0])]).columns[0].bars == []
    assert bar_chart("Tasks", [], [Series("done", "tasks", [])]).ticks == []


def test_every_sixth_of_24_hours_has_a_tick():
    chart = bar_chart("Tasks", HOURS, [Series("done", "tasks", range(24))])

    assert len(chart.ticks) == 24
    assert chart.ticks[::6] == ["00:00", "06:00", "12:00", "18:00"]
    assert set(chart.ticks[1:6]) == {""}


def test_hourly_charts_have_totals():
    shares = [Share(30, 10.0, 0.0, 10.0), Share(10, 20.0, 10.0, 30.0), Share(0)]
    work = [WorkDone(1, 0), WorkDone(1200, 0), WorkDone(0, 0)]

    out, tasks, bikes = charts_over_time(["a", "b", "c"], shares, work)

    # The first hour has three quarters of the polls.
    assert [chart.total for chart in (out, tasks, bikes)] == ["15.0 %", "1,201", "0"]
    assert out.columns[1].title == "b: empty 20 %, full 10 %"
    assert out.columns[2].title == "c: unknown"


def test_share_without_polls_is_unknown():
    out, _, _ = charts_over_time(["a"], [Share(0)], [WorkDone(0, 0)])

    assert out.total == "unknown"


def test_goal_is_a_line_with_a_label():
    chart, *_ = charts_over_time(["a"], [Share(10, 2.0, 1.0, 3.0)], [WorkDone(1, 1)], goal=8)

    page = render_to_string("admin/dispatch/chart.html", {"chart": chart})

    assert (chart.top, chart.goal.y) == ("10 %", 20)
    assert ElementTree.fromstring(page).find(".//line").get("y1") == "20.0"
    assert "goal 8 %" in page


def test_chart_without_a_goal_has_no_line():
    chart, *_ = charts_over_time(["a"], [Share(10, 2.0, 1.0, 3.0)], [WorkDone(1, 1)])

    assert "<line" not in render_to_string("admin/dispatch/chart.html", {"chart": chart})


def test_mark_is_at_the_total_of_a_week_earlier():
    shares, before = [Share(10, 2.0, 1.0, 3.0), Share(0)], [Share(10, 5.0, 3.0, 8.0), Share(0)]
    work, work_before = [WorkDone(1, 4)] * 2, [WorkDone(2, 10), WorkDone(0, 0)]

    out, _, bikes = charts_over_time(["a", "b"], shares, work, None, (before, work_before))

    assert out.top == "10 %"
    assert [column.mark and column.mark.y for column in out.columns] == [20, None]
    assert [column.mark.y for column in bikes.columns] == [0, HEIGHT]
    assert out.columns[0].title == "a: empty 2 %, full 1 %; a week earlier 8 % in all"
    assert bikes.columns[1].title == "b: bikes 4; a week earlier 0"
    page = render_to_string("admin/dispatch/chart.html", {"chart": out})
    halo, line = ElementTree.fromstring(page).findall(".//line")
    assert halo.get("y1") == line.get("y1")
    assert (line.get("x1"), line.get("x2"), line.get("y1")) == ("12.0", "108.0", "20.0")
    assert "a week earlier</span>" in page


@pytest.mark.parametrize(
    ("value", "top"),
    [
        (0, 1),
        (0.3, 1),
        (1, 1),
        (1.1, 2),
        (2.2, 2.5),
        (3, 5),
        (7, 10),
        (10, 10),
        (101, 200),
        (999, 1000),
    ],
)
def test_upper_edge_is_a_round_number(value, top):
    assert round_up(value) == top


def test_bars_stay_in_the_box_and_the_svg_is_well_formed():
    chart = bar_chart(
        "<script>", HOURS, [Series("empty", '"><b>', range(24)), Series("full", "full", [9] * 24)]
    )

    page = render_to_string("admin/dispatch/chart.html", {"chart": chart})

    assert "<script>" not in page
    svg = ElementTree.fromstring(page).find(".//svg")
    assert svg.get("aria-label") == chart.summary
    rectangles = svg.findall(".//rect[@class]")
    assert len(rectangles) == 24 + 23 + 24
    for rectangle in rectangles:
        x, y, width, height = (float(rectangle.get(n)) for n in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= WIDTH + 0.01
        assert 0 <= y <= y + height <= HEIGHT + 0.01
    assert "style=" not in page
