"""Distances, neighbours and areas."""

import math

from dispatch.planning.geo import Grid, areas, kilometres, point

KM = 1 / 111.195  # degrees of latitude


def test_degrees_of_longitude_shrink_towards_the_poles():
    here = point(60, 10)

    assert math.isclose(math.dist(here, point(60.1, 10)), 11.1195, rel_tol=1e-4)
    assert math.isclose(math.dist(here, point(60, 10.1)), 11.1195 / 2, rel_tol=1e-3)


def test_distance_is_as_the_crow_flies():
    assert math.isclose(kilometres(37.7862, -122.4049, 37.3297, -121.9018), 67.5, abs_tol=0.3)
    assert kilometres(1, 2, 1, 2) == 0


def test_distances_are_right_at_the_date_line_and_the_pole():
    assert math.dist(point(0, 179.99), point(0, -179.99)) < 2.3
    assert math.dist(point(89.99, 0), point(89.99, 180)) < 2.3


def test_grid_finds_exactly_the_points_within_reach():
    places = [point(45 + north * KM, 7 + east * KM) for north in range(8) for east in range(8)]

    for within in (0.9, 2.0, 3.5, 20.0):
        found = dict(Grid(places, within).near(places[27]))
        assert found == {
            index: distance
            for index, place in enumerate(places)
            if (distance := math.dist(places[27], place)) <= within
        }


def test_an_area_ends_at_a_gap():
    chain = [point(45 + step * 1.5 * KM, 7) for step in range(4)]
    over_the_bay = [point(45, 7.1), point(45 + KM, 7.1)]
    places = [chain[0], over_the_bay[0], *chain[1:], over_the_bay[1]]

    assert areas(places, gap=2) == [0, 1, 0, 0, 0, 1]
    assert areas(places, gap=1.4) == [0, 1, 2, 3, 4, 1]
    assert areas([]) == []
