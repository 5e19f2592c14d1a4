"""The suggester's plan: the first station, its partner, and the number of bikes."""

from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.demo.city import City, create_places
from dispatch.planning.planner import (
    LEAST_PRIORITY,
    MOST_PRIORITY,
    PlannedMove,
    Rules,
    StationState,
    plan_moves,
)

KM = 1 / 111.195  # degrees of latitude


def station(number, bikes, docks, km=0.0, **more):
    return StationState(number, f"Station {number}", 45 + km * KM, 7.0, bikes, docks, **more)


def routes(moves):
    return [(move.from_station_id, move.to_station_id, move.qty) for move in moves]


def pairs(moves):
    return [(move.from_station_id, move.to_station_id) for move in moves]


def stations_of(stations, seed, hour=9):
    city = City(create_places(stations, seed=seed), seed=seed, minute=3 * 60)
    city.ride((hour - 3) * 60)
    inventories = city.inventories()
    return [
        StationState(
            place.number,
            place.name,
            place.lat,
            place.lon,
            inventories[place.number].bikes,
            inventories[place.number].docks,
            in_service=not place.closed,
        )
        for place in city.places
    ]


def test_an_empty_station_is_filled_to_the_average_of_its_area():
    (move,) = plan_moves([station(1, 0, 20), station(2, 20, 0, km=1)], Rules())

    assert (move.from_station_id, move.to_station_id, move.qty) == (2, 1, 10)
    assert move.priority == MOST_PRIORITY
    assert move.reason == "From a full station to an empty station"
    assert 0.99 < move.distance < 1.01


@pytest.mark.parametrize(
    ("bikes", "partner_bikes", "reason"),
    [
        (1, 15, "To a station low on bikes"),
        (0, 18, "From a station low on docks to an empty station"),
        (3, 20, "From a full station to a station low on bikes"),
        (7, 20, "From a full station"),
    ],
)
def test_reason_names_the_problem_without_numbers(bikes, partner_bikes, reason):
    stations = [station(1, bikes, 20 - bikes), station(2, partner_bikes, 20 - partner_bikes, km=1)]

    assert plan_moves(stations, Rules())[0].reason == reason


def test_stations_between_the_limits_get_no_move():
    assert plan_moves([station(1, 4, 16), station(2, 16, 4, km=1)], Rules()) == []
    assert len(plan_moves([station(1, 3, 17), station(2, 16, 4, km=1)], Rules())) == 1


def test_the_limits_are_shares_of_the_working_size():
    stations = [station(1, 5, 15), station(2, 20, 20, km=1)]

    assert plan_moves(stations, Rules()) == []
    assert len(plan_moves(stations, Rules(low=30))) == 1


def test_the_worst_station_gets_the_bikes_and_its_move_the_higher_priority():
    # Station 3 has enough bikes for only one of them.
    stations = [station(1, 3, 17), station(2, 0, 20, km=0.2), station(3, 12, 8, km=0.4)]

    moves = plan_moves(stations, Rules())

    assert [move.to_station_id for move in moves] == [2]
    both = plan_moves([*stations, station(4, 18, 2, km=0.6)], Rules())
    assert [move.to_station_id for move in both] == [2, 1]
    assert both[0].priority > both[1].priority > LEAST_PRIORITY


def test_among_equally_bad_stations_the_larger_comes_first():
    moves = plan_moves([station(1, 0, 10), station(2, 0, 30), station(3, 60, 40, km=1)], Rules())

    assert [move.to_station_id for move in moves] == [2, 1]


def test_among_equal_partners_the_nearer_is_chosen():
    moves = plan_moves(
        [station(1, 0, 20), station(2, 16, 4, km=3), station(3, 16, 4, km=2)], Rules()
    )

    assert pairs(moves)[0] == (3, 1)


def test_an_unbalanced_partner_is_worth_a_longer_way():
    stations = [station(1, 0, 20), station(2, 15, 5, km=1), station(3, 17, 3, km=2)]

    assert pairs(plan_moves(stations, Rules(van_capacity=4)))[0] == (3, 1)


def test_no_move_is_too_long_or_crosses_areas():
    far = [station(1, 0, 20), station(2, 20, 0, km=1.9)]
    over_the_bay = [station(1, 0, 20), station(2, 20, 0, km=2.1)]

    assert plan_moves(far, Rules(max_distance=1.8)) == []
    assert len(plan_moves(far, Rules(max_distance=2))) == 1
    assert plan_moves(over_the_bay, Rules()) == []
    assert len(plan_moves([*over_the_bay, station(3, 10, 10, km=1)], Rules())) == 1


def test_a_bay_is_not_crossed():
    here = [station(1, 0, 20), station(2, 10, 10, km=-1.5)]
    there = [station(3, 20, 0, km=2.2), station(4, 8, 12, km=2.3)]

    assert set(pairs(plan_moves([*here, *there], Rules()))) == {(2, 1), (3, 4)}
    assert (3, 1) in pairs(plan_moves([*here, *there], Rules(area_gap=3)))


def test_no_move_crosses_systems():
    stations = [station(1, 0, 20, system="ours"), station(2, 20, 0, km=1, system="theirs")]

    assert plan_moves(stations, Rules()) == []


def test_closed_stations_and_those_without_docks_are_left_out():
    stations = [station(1, 0, 20), station(2, 20, 0, in_service=False), station(3, 0, 0)]

    assert plan_moves(stations, Rules()) == []


def test_a_move_is_limited_by_the_van_and_another_helps():
    stations = [station(1, 0, 60), station(2, 50, 10, km=1), station(3, 50, 10, km=1.5)]

    moves = plan_moves(stations, Rules(van_capacity=12))

    assert [move.qty for move in moves] == [12, 12]
    assert {move.from_station_id for move in moves} == {2, 3}


def test_moves_below_the_minimum_are_not_planned():
    stations = [station(1, 0, 5), station(2, 5, 0, km=1)]

    assert plan_moves(stations, Rules(min_qty=3)) == []
    assert routes(plan_moves(stations, Rules(min_qty=2))) == [(2, 1, 2)]


def test_bikes_on_their_way_help_but_cannot_be_given_on():
    empty, full = station(1, 0, 20, promised_in=10), station(2, 20, 0, km=1)
    assert 1 not in {move.to_station_id for move in plan_moves([empty, full], Rules())}

    lender = station(3, 4, 16, km=1, promised_in=12)
    assert plan_moves([station(1, 0, 20), lender], Rules()) == []


def test_promised_bikes_are_not_given_and_still_occupy_docks():
    assert routes(plan_moves([station(1, 0, 20), station(2, 20, 0, promised_out=6)], Rules())) == [
        (2, 1, 4)
    ]
    busy = station(3, 18, 2, promised_out=12)
    assert plan_moves([busy, station(2, 20, 0, km=1)], Rules()) == []


def test_excluded_moves_are_replaced_by_others():
    stations = [station(1, 0, 20), station(2, 20, 0, km=1), station(3, 20, 0, km=1.5)]

    assert pairs(plan_moves(stations, Rules())) == [(2, 1), (3, 1)]
    assert pairs(plan_moves(stations, Rules(), excluded={(2, 1)})) == [(3, 1)]


def test_a_proposed_move_stays_unless_another_is_much_better():
    stations = [station(1, 0, 20), station(2, 16, 4, km=1.4), station(3, 16, 4, km=1.5)]
    much_nearer = [*stations, station(4, 16, 4, km=0.1)]

    assert pairs(plan_moves(stations, Rules()))[0] == (2, 1)
    assert pairs(plan_moves(stations, Rules(), proposed={(3, 1)}))[0] == (3, 1)
    assert pairs(plan_moves(much_nearer, Rules(), proposed={(3, 1)}))[0] == (4, 1)


def test_the_order_of_the_stations_does_not_matter():
    stations = stations_of(120, seed=3)
    shuffled = Random(1).sample(stations, len(stations))

    assert plan_moves(shuffled, Rules()) == plan_moves(stations, Rules())


def check(stations: list[StationState], rules: Rules, moves: list[PlannedMove]) -> None:
    """Assert the rules of every plan."""
    by_number = {each.number: each for each in stations}
    given, taken = defaultdict(int), defaultdict(int)
    for move in moves:
        assert rules.min_qty <= move.qty <= rules.van_capacity
        assert move.from_station_id != move.to_station_id
        assert move.distance <= rules.max_distance
        assert LEAST_PRIORITY <= move.priority <= MOST_PRIORITY
        given[move.from_station_id] += move.qty
        taken[move.to_station_id] += move.qty
    assert not set(given) & set(taken)
    assert len(set(pairs(moves))) == len(moves)
    assert [move.priority for move in moves] == sorted((m.priority for m in moves), reverse=True)
    for number, qty in given.items():
        giver = by_number[number]
        assert giver.bikes - giver.promised_out - qty >= rules.low * giver.size / 100
    for number, qty in taken.items():
        taker = by_number[number]
        assert taker.bikes + taker.promised_in + qty <= rules.high * taker.size / 100
    for each in [by_number[number] for number in {*given, *taken}]:
        assert each.in_service
        assert 0 <= each.bikes - given[each.number] + taken[each.number] <= each.size


@st.composite
def some_stations(draw):
    few = st.integers(0, 40)
    return [
        StationState(
            number,
            f"Station {number}",
            draw(st.floats(45, 45.06)),
            draw(st.floats(7, 7.06)),
            draw(few),
            draw(few),
            in_service=draw(st.integers(0, 9)) > 0,
            promised_in=draw(st.sampled_from([0, 0, 0, 5, 20, 90])),
            promised_out=draw(st.sampled_from([0, 0, 0, 5, 20, 90])),
        )
        for number in range(draw(st.integers(0, 25)))
    ]


@st.composite
def some_rules(draw):
    low = draw(st.integers(0, 99))
    min_qty = draw(st.integers(1, 6))
    return Rules(
        low=low,
        high=draw(st.integers(low + 1, 100)),
        max_distance=draw(st.floats(0.1, 20)),
        van_capacity=draw(st.integers(min_qty, 30)),
        min_qty=min_qty,
    )


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(some_stations(), some_rules())
def test_no_plan_overfills_or_empties_a_station(stations, rules):
    check(stations, rules, plan_moves(stations, rules))


def out(stations: list[StationState], moves: list[PlannedMove]) -> int:
    """Count the stations that are empty or full after the moves."""
    change = defaultdict(int)
    for move in moves:
        change[move.from_station_id] -= move.qty
        change[move.to_station_id] += move.qty
    return sum(
        each.bikes + change[each.number] in (0, each.size) for each in stations if each.in_service
    )


@pytest.mark.parametrize("hour", [9, 12, 18, 22])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_plan_helps_half_of_the_empty_and_full_stations(seed, hour):
    stations = stations_of(200, seed, hour)

    moves = plan_moves(stations, Rules())

    check(stations, Rules(), moves)
    assert out(stations, []) > 0
    assert out(stations, moves) <= out(stations, []) / 2


def test_a_city_of_2200_stations_is_planned_correctly():
    stations = stations_of(2200, seed=1)

    check(stations, Rules(), plan_moves(stations, Rules()))


def test_station_with_more_bikes_than_capacity_spares_down_to_its_band():
    overfilled = station(1, 40, 0, capacity=10)
    others = [station(n, bikes, 20 - bikes, km=n / 10) for n, bikes in ((2, 0), (3, 1), (4, 2))]

    moves = plan_moves([overfilled, *others], Rules())

    assert moves[0].reason == "From a full station to an empty station"
    left = 40 - sum(move.qty for move in moves if move.from_station_id == 1)
    assert 2 <= left <= 8


def test_area_with_more_bikes_than_docks_is_planned():
    moves = plan_moves([station(1, 40, 0, capacity=10), station(2, 0, 10, km=1)], Rules())

    assert [move.from_station_id for move in moves] == [1]
