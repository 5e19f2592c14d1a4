"""Names the area of each station: the part of the system that a dispatcher thinks in."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

# SF-A28 and SF I29-1 are in SF. Other systems' short names, such as 6140.05, have no prefix.
PREFIX = re.compile("([A-Z]{2,4})[- ]", re.ASCII)


def name_areas(stations: Sequence[tuple[str, str]], names: Collection[str]) -> list[str]:
    """Return the area of each station, given by its short name and region; empty if unknown.

    It is the region, if that is one of `names`. Feeds leave out the region of some stations: those
    are in the region of most stations with the same prefix of the short name. If no region of
    theirs has a name, the prefix is the area.
    """
    named: dict[str, Counter[str]] = defaultdict(Counter)
    for short_name, region in stations:
        if region in names:
            named[prefix_of(short_name)][region] += 1
    usual = {prefix: counts.most_common(1)[0][0] for prefix, counts in named.items() if prefix}
    prefixes = [prefix_of(short_name) for short_name, _ in stations]
    return [
        region if region in names else usual.get(prefix, prefix)
        for (_, region), prefix in zip(stations, prefixes, strict=True)
    ]


def prefix_of(short_name: str) -> str:
    found = PREFIX.match(short_name)
    return found[1] if found else ""
