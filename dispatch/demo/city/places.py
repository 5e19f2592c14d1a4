"""Places of the invented city's stations: two adjacent districts, and one across the bay."""

import math
from dataclasses import dataclass
from random import Random

from .names import LANDMARKS, corner

LAT, LON = 45.2, -124.6
KM_PER_DEGREE = 111.2
KM_PER_DEGREE_EAST = KM_PER_DEGREE * math.cos(math.radians(LAT))
# The greatest distance between a station and its corner.
JITTER_KM = 0.08
BLOCK_KM = 0.4
BAY_KM = 4.0
SIZES = [11, 15, 15, 19, 19, 23, 23, 27, 31, 35]


@dataclass(frozen=True)
class District:
    """`work`: the share of workplaces, 0 to 1; the rest is homes."""

    name: str
    code: str
    area: str
    work: float


DISTRICTS = [
    District("Old Town", "OT", "Westbank", 0.85),
    District("Hillside", "HS", "Westbank", 0.12),
    District("Eastbank", "EB", "Eastbank", 0.5),
]
# The one station that is closed for road works.
CLOSED = ("HS", 7)


@dataclass(frozen=True)
class Place:
    """A station as built. `capacity` counts all its docks."""

    number: int
    name: str
    short_name: str
    lat: float
    lon: float
    capacity: int
    district: str
    area: str
    work: float
    closed: bool = False


def create_places(stations: int = 60, seed: int = 1) -> list[Place]:
    """Return stations numbered from 100; each district starts at a multiple of 100."""
    random = Random(seed)  # noqa: S311
    places: list[Place] = []
    first = 100
    counts = [(stations + 2 - index) // 3 for index in range(3)]
    old_town, hillside, _ = (blocks(count) * BLOCK_KM for count in counts)
    # Hillside lies west of Old Town, Eastbank east of it across the bay.
    for district, count, west in zip(
        DISTRICTS, counts, (0.0, -hillside, old_town + BAY_KM), strict=True
    ):
        places += create_district(district, count, west, first, random)
        first += math.ceil(count / 100) * 100
    return places


def blocks(count: int) -> int:
    """The number of streets each way that gives more corners than stations."""
    return math.ceil(math.sqrt(count * 1.3))


def create_district(
    district: District, count: int, west: float, first: int, random: Random
) -> list[Place]:
    streets = range(blocks(count))
    corners = [(row, column) for row in streets for column in streets]
    # The first station is a landmark; the other landmarks lie at random.
    others = range(1, count)
    spots = [0, *random.sample(others, min(len(others), len(LANDMARKS[district.name]) - 1))]
    landmarks = dict(zip(spots, LANDMARKS[district.name], strict=False))
    return [
        Place(
            number=first + index,
            name=landmarks.get(index) or corner(district.name, row, column),
            short_name=f"{district.code}-{chr(65 + row % 26)}{column + 1}",
            lat=LAT - jitter(row * BLOCK_KM, random) / KM_PER_DEGREE,
            lon=LON + jitter(west + column * BLOCK_KM, random) / KM_PER_DEGREE_EAST,
            capacity=random.choice(SIZES),
            district=district.name,
            area=district.area,
            work=min(max(district.work + random.uniform(-0.12, 0.12), 0), 1),
            closed=(district.code, index) == CLOSED,
        )
        for index, (row, column) in enumerate(sorted(random.sample(corners, count)))
    ]


def jitter(km: float, random: Random) -> float:
    return km + random.uniform(-JITTER_KM, JITTER_KM)
