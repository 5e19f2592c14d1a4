"""Map data: the stations' places (cacheable), their present state, and tiles."""

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse

from ..overview.station_views import StationView


def feature_collection(stations: Iterable[StationView]) -> dict[str, Any]:
    """Return GeoJSON points. Five decimals of a degree are about a metre."""
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": station.id,
                "geometry": {
                    "type": "Point",
                    "coordinates": [round(station.place.lon, 5), round(station.place.lat, 5)],
                },
                "properties": {"name": station.name, "area": station.area},
            }
            for station in stations
            if station.place
        ],
    }


def states(stations: Iterable[StationView]) -> str:
    """Return JSON rows: number, level, bikes, free docks. Counts are null if unknown."""
    rows = []
    for station in stations:
        reading = station.reading
        counts = (reading.bikes, reading.docks) if reading else (None, None)
        rows.append([station.id, station.level, *counts])
    return json.dumps(rows, separators=(",", ":"))


def allow_tiles(response: HttpResponse) -> None:
    """Let the page load images from the tile server, if there is one."""
    if settings.MAP_TILES:
        address = urlsplit(settings.MAP_TILES)
        response.image_sources = [f"https://{address.netloc}"]  # type: ignore[attr-defined]
