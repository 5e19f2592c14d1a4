"""A small believable morning, for the local trial: nobody's real stations."""

from collections.abc import Iterator

from .services.ingest import SuggestionRow

SOURCE = "demo"

MOVES = [
    (100, 200, 5, 20, "Station 100 is full, Station 200 needs bikes"),
    (112, 204, 8, 40, "Ferry Pier is empty in 10 minutes; Mill Street has 19 of 21 docks taken"),
    (118, 231, 4, 0, "Morning peak: Hill Park feeds the two schools, 2 of 15 bikes left there"),
    (140, 203, 12, 60, "Central Station is full: 35 of 35, and three trains arrive before 09:00"),
    (151, 207, 3, -10, "Library Square is low; there is time until noon"),
    (140, 211, 6, 35, "Central Station is full: 35 of 35; Canal Bridge has 1 of 19"),
    (163, 219, 7, 0, "Stadium lot is full after the early match; Old Market needs bikes"),
    (172, 225, 5, 0, "Harbour Gate: 18 of 20 docks taken; Lower Quay: 1 of 15 bikes"),
    (109, 238, 9, 15, "University drains from 08:30; Dormitory Road has 23 of 25"),
    (184, 202, 4, -20, "Evening forecast: City Hall will be short of docks by 17:00"),
    (126, 215, 6, 5, "Garden Terrace: 15 of 15; Bakery Lane has been empty for 25 minutes"),
    (133, 229, 10, 25, "Airport Bus stop is full, riders report turning away"),
]


def suggestions() -> Iterator[SuggestionRow]:
    for from_station_id, to_station_id, qty, priority, reason in MOVES:
        yield SuggestionRow(
            from_station_id=from_station_id,
            to_station_id=to_station_id,
            qty=qty,
            reason=reason,
            priority=priority,
        )
