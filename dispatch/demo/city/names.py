"""Names of the invented city's stations."""

LANDMARKS = {
    "Old Town": [
        "Central Station",
        "Ferry Pier",
        "City Hall",
        "Library Square",
        "Harbour Gate",
        "Old Market",
        "Opera Steps",
    ],
    "Hillside": [
        "Hill Park",
        "Water Tower",
        "University",
        "Garden Terrace",
        "Chapel Lane",
        "Observatory",
    ],
    "Eastbank": [
        "Lower Quay",
        "Boatyard",
        "Mill Bridge",
        "Brewery Yard",
        "Stadium",
        "Tram Depot",
    ],
}

STREETS = """
    Saddle Wren Juniper Yarrow Oak Salt Ivory Pine Mason Mint Tiller Saffron Holly Kestrel
    Sparrow Forge Tanner Plover Quarry Otter Glass Meadow Rowan Alder Cedar Pearl Ash Candle
    Larch Brook Swan Elder Laurel Hazel Garnet Beacon Weaver Spruce Vine Chestnut Copper
    Reed Poplar Orchard Walnut Willow Elm Birch Timber Falcon Granite Lock Linden Dyer Baker
    Raven Rope Fennel Sugar Maple Heron Anchor Barley Cooper Fern Thistle Robin Cross Mercer
    Lantern
"""

ENDINGS = {1: "st", 2: "nd", 3: "rd"}
# Kinds of street and cross street, and the index of the district's first street name.
KINDS = {"Old Town": ("St", "Ave", 0), "Hillside": ("Way", "Row", 23), "Eastbank": ("Rd", "Ct", 46)}


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    teen = number // 10 % 10 == 1
    return f"{number}th" if teen else f"{number}{ENDINGS.get(number % 10, 'th')}"


def corner(district: str, row: int, column: int) -> str:
    """The crossing of a street and a numbered one: "Cedar St at 3rd Ave"."""
    street, across, first = KINDS[district]
    names = STREETS.split()
    repeat, position = divmod(first + row, len(names))
    return f"{'New ' * repeat}{names[position]} {street} at {ordinal(column + 1)} {across}"
