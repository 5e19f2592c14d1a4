"""The invented city: the same for the same seed, and without a bike lost."""

import random

import pytest

from dispatch.demo.city import City, Fill, found_city
from dispatch.planning.geo import areas, point

MORNING = 3 * 60 + 20
PEAK = 9 * 60 + 20


def after_the_peak(seed=43):
    city = City(found_city(seed=seed), seed=seed, minute=MORNING)
    city.ride(PEAK - MORNING)
    return city


def bikes_of(city):
    return sum(city.bikes) + sum(city.disabled) + len(city.riding)


@pytest.mark.parametrize("stations", [1, 2, 3, 60, 520, 2200])
def test_a_city_has_as_many_stations_as_asked_each_with_its_own_number_and_name(stations):
    places = found_city(stations)

    assert len(places) == stations
    assert len({place.number for place in places}) == stations
    assert len({place.name for place in places}) == stations
    assert all(place.capacity > 0 for place in places)


def test_the_same_seed_gives_the_same_day_and_another_seed_another():
    one, same, other = after_the_peak(), after_the_peak(), after_the_peak(seed=44)

    assert (one.places, one.fills(), one.riding) == (same.places, same.fills(), same.riding)
    assert one.fills() != other.fills()


def test_the_water_makes_two_areas_of_it():
    places = found_city()

    found = areas([point(place.lat, place.lon) for place in places])

    assert {(place.region, area) for place, area in zip(places, found, strict=True)} == {
        ("Old Town", 0),
        ("Hillside", 0),
        ("Eastbank", 1),
    }


def test_no_bike_is_lost_and_no_dock_holds_two_in_two_days_with_vans():
    city = City(found_city(), minute=0)
    bikes, chance = bikes_of(city), random.Random(5)

    for _ in range(2 * 24 * 6):
        city.ride(10)
        source, target = chance.sample(city.places, 2)
        city.move(source.number, target.number, 15)
        assert bikes_of(city) == bikes
        fills = city.fills()
        for place in city.places:
            fill = fills[place.number]
            assert min(fill.bikes, fill.docks, fill.disabled) >= 0
            assert fill.bikes + fill.docks + fill.disabled == place.capacity


def test_the_morning_fills_where_people_work_and_empties_where_they_live_the_evening_turns_it():
    city = City(found_city(520), minute=5 * 60)

    def share(region):
        now = city.fills()
        fills = [now[place.number] for place in city.places if place.region == region]
        return sum(fill.bikes for fill in fills) / sum(fill.bikes + fill.docks for fill in fills)

    city.ride(5 * 60)
    assert share("Old Town") > 0.6 > 0.4 > share("Hillside")
    city.ride(9 * 60)
    assert share("Old Town") < share("Hillside")


def test_stations_run_empty_and_full_but_the_closed_one_is_left_alone():
    city = after_the_peak()
    (closed,) = (place for place in city.places if place.closed)
    fills = city.fills()
    as_before = City(city.places, seed=43).fills()[closed.number]

    assert fills.pop(closed.number) == as_before
    assert sum(fill.bikes == 0 for fill in fills.values()) >= 5
    assert sum(fill.docks == 0 for fill in fills.values()) >= 3


def test_a_city_goes_on_from_where_it_was_seen_last():
    fills = after_the_peak().fills()

    assert City(found_city(seed=43), seed=99, fills=fills).fills() == fills


def test_a_van_moves_what_there_is_and_what_fits():
    places = found_city()[:3]
    numbers = [place.number for place in places]
    fills = {
        number: Fill(bikes, place.capacity - bikes, 0)
        for number, place, bikes in zip(
            numbers, places, (4, 0, places[2].capacity - 2), strict=True
        )
    }
    city = City(places, fills=fills)

    assert city.movable(numbers[0], numbers[1], 9) == 4
    assert city.movable(numbers[0], numbers[2], 9) == 2
    assert city.movable(numbers[0], 7, 3) == city.movable(7, 8, 3) == 3
    city.move(numbers[0], numbers[2], 9)
    assert city.bikes == [2, 0, places[2].capacity]


def test_who_finds_no_dock_rides_on_and_does_not_leave_the_bike_at_a_closed_station():
    places = found_city()
    fills = {place.number: Fill(place.capacity, 0, 0) for place in places}
    closed = next(place for place in places if place.closed)
    city = City(places, fills={**fills, closed.number: Fill(0, closed.capacity, 0)})

    neighbour = city.nearby[city.index[closed.number]][1]

    city.arrive(neighbour)

    assert city.fills()[closed.number].bikes == 0
    assert len(city.riding) == 1
