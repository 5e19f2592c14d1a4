"""The number of bikes that fit, and the sentences about it."""

import pytest

from dispatch.planning.inventory import StationCapacity, caveats, effect, feasible_qty, shortfalls


def station(bikes, docks, promised_out=0, promised_in=0):
    return StationCapacity("Here", bikes, docks, promised_out, promised_in)


@pytest.mark.parametrize(
    ("source", "target", "feasible"),
    [
        (station(5, 0), station(0, 5), 5),
        (station(4, 9), station(0, 9), 4),
        (station(9, 0), station(9, 3), 3),
        (station(9, 0, promised_out=7), station(0, 9), 2),
        (station(9, 0), station(0, 9, promised_in=8), 1),
        # Bikes on their way have not arrived, and docks about to be freed are not free.
        (station(2, 0, promised_in=9), station(0, 9), 2),
        (station(9, 0), station(0, 2, promised_out=9), 2),
        (station(3, 0, promised_out=4), station(0, 9), 0),
        (station(None, None), station(0, 3), 3),
        (station(4, 0), station(None, None), 4),
        (station(None, None), station(None, None), 5),
    ],
)
def test_both_stations_limit_how_many_bikes_fit(source, target, feasible):
    assert feasible_qty(5, source, target) == feasible
    assert bool(shortfalls(5, source, target)) == (feasible < 5)


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        (station(4, 0), station(0, 9), "Only 4 of 5 bikes can leave Here (4 there)."),
        (
            station(9, 0, promised_out=7),
            station(0, 9),
            "Only 2 of 5 bikes can leave Here (9 there, 7 already promised).",
        ),
        (station(0, 0), station(0, 9), "Here has no bike to give (0 there; 5 wanted)."),
        (
            station(0, 0, promised_out=10),
            station(0, 9),
            "Here has no bike to give (0 there, 10 already promised; 5 wanted).",
        ),
        (station(9, 0), station(0, 3), "Only 3 of 5 bikes fit at Here (3 docks free)."),
        (
            station(9, 0),
            station(0, 3, promised_in=2),
            "Only 1 of 5 bikes fit at Here (3 docks free, 2 already promised).",
        ),
        (station(9, 0), station(0, 0), "Here has no dock to spare (0 docks free; 5 wanted)."),
        (
            station(9, 0),
            station(0, 1, promised_in=1),
            "Here has no dock to spare (1 dock free, 1 already promised; 5 wanted).",
        ),
    ],
)
def test_a_shortfall_gives_the_numbers(source, target, sentence):
    assert shortfalls(5, source, target) == [sentence]


def test_silent_and_closed_stations_are_caveats_but_no_shortfalls():
    silent = StationCapacity("Pier 1")
    closed = StationCapacity("Pier 2", 5, 5, in_service=False)

    assert caveats(silent, closed) == ["Pier 1 has no recent status.", "Pier 2 is out of service."]
    assert caveats(StationCapacity("Pier 3", 5, 5), StationCapacity("Pier 4", 5, 5)) == []
    assert shortfalls(5, silent, silent) == []


def test_target_with_unknown_docks_is_a_caveat_and_only_the_source_limits():
    source, target = StationCapacity("Pier 1", 4, None), StationCapacity("Pier 2", 30, None)

    assert caveats(source, target) == ["The number of free docks at Pier 2 is unknown."]
    assert shortfalls(5, source, target) == ["Only 4 of 5 bikes can leave Pier 1 (4 there)."]
    assert feasible_qty(5, source, target) == 4


def test_no_caveats_where_no_station_ever_had_a_status():
    unmonitored = StationCapacity("Station 7", monitored=False)

    assert caveats(unmonitored, unmonitored) == []


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        (station(18, 5), station(0, 20), "18 → 7, 0 → 11"),
        # Bikes promised to other tasks count as gone; bikes on their way count as arrived.
        (station(18, 5, promised_out=4), station(0, 20, promised_in=3), "14 → 3, 3 → 14"),
        # A move that does not fit empties the source and fills the target.
        (station(6, 5), station(15, 4), "6 → 0, 15 → 19"),
        (station(2, 5, promised_out=9), station(19, 0, promised_in=2), "0 → 0, 21 → 21"),
        (station(18, 5), station(0, None), "18 → 7, 0 → 11"),
        (StationCapacity("Silent"), station(0, 20), ""),
    ],
)
def test_effect_shows_the_bikes_before_and_after(source, target, text):
    assert effect(11, source, target) == text
