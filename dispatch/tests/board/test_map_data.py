"""Map data: station places, which browsers cache, and their present states."""

import json
import re

import pytest

from ..support.cities import station
from ..support.factories import SuggestionFactory, TaskFactory

pytestmark = pytest.mark.django_db

PLACES, STATE = "/admin/board/stations.geojson", "/admin/board/state.json"


def states(client):
    part = client.get(STATE).json()["parts"]["map"]
    return json.loads(re.search(r">(\[.*\])</script>", part)[1])


def test_places_are_geojson_points_with_names_and_areas(dispatcher):
    station(7, name="Pier <1>", lat=37.7712345, lon=-122.4200001)

    response = dispatcher.get(PLACES)

    assert response.headers["Content-Type"] == "application/geo+json"
    assert response.json() == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": 7,
                "geometry": {"type": "Point", "coordinates": [-122.42, 37.77123]},
                "properties": {"name": "Pier <1>", "area": ""},
            }
        ],
    }


def test_unchanged_places_are_not_sent_again(dispatcher):
    pier = station(1)
    first = dispatcher.get(PLACES)
    assert first.headers["Cache-Control"] == "private, no-cache"
    tag = {"HTTP_IF_NONE_MATCH": first.headers["ETag"]}

    assert dispatcher.get(PLACES, **tag).status_code == 304

    pier.status.bikes = 3
    pier.status.save()
    assert dispatcher.get(PLACES, **tag).status_code == 304
    pier.lat = 37.78
    pier.save()
    assert dispatcher.get(PLACES, **tag).status_code == 200


def test_states_list_level_bikes_and_free_docks(dispatcher):
    station(1, 0, 20)
    station(2, 20, 0)
    station(3, 5, None)
    station(4).status.delete()

    assert sorted(states(dispatcher)) == [
        [1, "empty", 0, 20],
        [2, "full", 20, 0],
        [3, "fine", 5, None],
        [4, "unknown", None, None],
    ]


def test_rows_name_the_ends_and_the_state_of_their_move(dispatcher):
    suggestion = SuggestionFactory(from_station_id=1, to_station_id=2)
    task = TaskFactory(assigned=True, from_station_id=3, to_station_id=4)

    parts = dispatcher.get(STATE).json()["parts"]

    ends = r'id="(\w+)"[^>]* data-from="(\d)" data-to="(\d)" data-state="(\w+)"'
    assert re.findall(ends, parts["suggestions"] + parts["tasks"]) == [
        (f"p{suggestion.id}", "1", "2", "suggestion"),
        (f"t{task.id}", "3", "4", "overdue"),
    ]
