"""The invented city: deterministic for a seed, and no bike is lost."""

import random

import pytest

from dispatch.demo.city import City, Inventory, create_places
from dispatch.planning.geo import areas, point

MORNING = 3 * 60 + 20
PEAK = 9 * 60 + 20


def after_the_peak(seed=43):
    city = City(create_places(seed=seed), seed=seed, minute=MORNING)
    city.ride(PEAK - MORNING)
    return city


def bikes_of(city):
    return sum(city.bikes) + sum(city.disabled) + len(city.riding)


@pytest.mark.parametrize("stations", [1, 2, 3, 60, 520, 2200])
def test_stations_have_unique_numbers_and_names(stations):
    places = create_places(stations)

    assert len(places) == stations
    assert len({place.number for place in places}) == stations
    assert len({place.name for place in places}) == stations
    assert all(place.capacity > 0 for place in places)


def test_same_seed_gives_the_same_day():
    one, same, other = after_the_peak(), after_the_peak(), after_the_peak(seed=44)

    assert (one.places, one.inventories(), one.riding) == (
        same.places,
        same.inventories(),
        same.riding,
    )
    assert one.inventories() != other.inventories()


def test_the_bay_splits_the_city_into_two_areas():
    places = create_places()

    found = areas([point(place.lat, place.lon) for place in places])

    assert {(each.district, each.area, area) for each, area in zip(places, found, strict=True)} == {
        ("Old Town", "Westbank", 0),
        ("Hillside", "Westbank", 0),
        ("Eastbank", "Eastbank", 1),
    }


def test_two_days_with_vans_lose_no_bike_and_overfill_no_dock():
    city = City(create_places(), minute=0)
    bikes, chance = bikes_of(city), random.Random(5)

    for _ in range(2 * 24 * 6):
        city.ride(10)
        source, target = chance.sample(city.places, 2)
        city.move(source.number, target.number, 15)
        assert bikes_of(city) == bikes
        inventories = city.inventories()
        for place in city.places:
            inventory = inventories[place.number]
            assert min(inventory.bikes, inventory.docks, inventory.disabled) >= 0
            assert inventory.bikes + inventory.docks + inventory.disabled == place.capacity


def test_mornings_fill_workplaces_and_evenings_fill_homes():
    city = City(create_places(520), minute=5 * 60)

    def share(district):
        now = city.inventories()
        inventories = [now[place.number] for place in city.places if place.district == district]
        return sum(inventory.bikes for inventory in inventories) / sum(
            inventory.bikes + inventory.docks for inventory in inventories
        )

    city.ride(5 * 60)
    assert share("Old Town") > 0.6 > 0.4 > share("Hillside")
    city.ride(9 * 60)
    assert share("Old Town") < share("Hillside")


def test_stations_run_empty_and_full_but_the_closed_one_is_unchanged():
    city = after_the_peak()
    (closed,) = (place for place in city.places if place.closed)
    inventories = city.inventories()
    as_before = City(city.places, seed=43).inventories()[closed.number]

    assert inventories.pop(closed.number) == as_before
    assert sum(inventory.bikes == 0 for inventory in inventories.values()) >= 5
    assert sum(inventory.docks == 0 for inventory in inventories.values()) >= 3


def test_a_city_continues_from_given_inventories():
    inventories = after_the_peak().inventories()

    assert (
        City(create_places(seed=43), seed=99, inventories=inventories).inventories() == inventories
    )


def test_a_van_moves_only_available_bikes_into_free_docks():
    places = create_places()[:3]
    numbers = [place.number for place in places]
    inventories = {
        number: Inventory(bikes, place.capacity - bikes, 0)
        for number, place, bikes in zip(
            numbers, places, (4, 0, places[2].capacity - 2), strict=True
        )
    }
    city = City(places, inventories=inventories)

    assert city.movable(numbers[0], numbers[1], 9) == 4
    assert city.movable(numbers[0], numbers[2], 9) == 2
    assert city.movable(numbers[0], 7, 3) == city.movable(7, 8, 3) == 3
    city.move(numbers[0], numbers[2], 9)
    assert city.bikes == [2, 0, places[2].capacity]


def test_a_rider_without_a_dock_rides_on_and_avoids_a_closed_station():
    places = create_places()
    inventories = {place.number: Inventory(place.capacity, 0, 0) for place in places}
    closed = next(place for place in places if place.closed)
    city = City(
        places, inventories={**inventories, closed.number: Inventory(0, closed.capacity, 0)}
    )

    neighbour = city.nearby[city.index[closed.number]][1]

    city.arrive(neighbour)

    assert city.inventories()[closed.number].bikes == 0
    assert len(city.riding) == 1
