"""Finds stations by the text that dispatchers type: a number, a short name, or words of name and
area."""

from django.db.models import Case, F, Func, Q, QuerySet, Value, When
from django.db.models.functions import Concat, Lower

from ..models import INT4_MAX, Station

# A search for 1,000 words kept a process busy for ten seconds.
MAX_WORDS, MAX_LENGTH = 20, 200
ACCENTED = "áàâäãåçéèêëíìîïñóòôöõúùûüýÿ"
PLAIN = "aaaaaaceeeeiiiinooooouuuuyy"
WITHOUT_ACCENTS = str.maketrans(ACCENTED, PLAIN)


def search_stations(stations: QuerySet[Station], text: str) -> QuerySet[Station]:
    """The stations that match every word, the best match first. Accents are ignored.

    A number also matches the station with that number. Only the start of a long text counts.
    """
    words = text[:MAX_LENGTH].translate({ord("#"): " "}).split()[:MAX_WORDS]
    found = stations.annotate(
        searched=without_accents(Concat("name", Value(" "), "short_name", Value(" "), "area"))
    )
    for word in words:
        matches = Q(searched__contains=word.lower().translate(WITHOUT_ACCENTS))
        if (number := station_number(word)) is not None:
            matches |= Q(pk=number)
        found = found.filter(matches)
    return found.annotate(rank=rank(" ".join(words))).order_by("rank", "name", "id")


def is_named(text: str) -> Q:
    """Match stations by number or short name."""
    number = station_number(text)
    return Q(short_name__iexact=text) if number is None else Q(pk=number) | Q(short_name=text)


def rank(text: str) -> Case:
    return Case(When(is_named(text), then=0), When(name__istartswith=text, then=1), default=2)


def without_accents(text: Func | F) -> Func:
    return Func(Lower(text), Value(ACCENTED), Value(PLAIN), function="translate")


def station_number(word: str) -> int | None:
    """None: the word is not a possible station number."""
    if not (word.isascii() and word.isdigit()) or len(word) > 10 or int(word) > INT4_MAX:
        return None
    return int(word)
