"""A form field that names a station by its number, short name or exact name."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.urls import reverse_lazy

from ..models import Station
from ..overview.station_search import is_named, search_stations, station_number
from ..planning.verdicts import about_stranger
from ..services.guard import capacities_of
from ..texts import isolated

# "58", or a chosen station: "Market St at 10th St #58".
NUMBERED = re.compile(r"(?:.*#)?\s*([0-9]+)", re.ASCII)
LISTED_IN_ERRORS = 3


class StationField(forms.CharField):
    """Cleans to the station's number. With JavaScript, it offers stations while the user types."""

    def __init__(self, **options: Any) -> None:
        attrs = {
            "class": "vTextField",
            "data-choices": reverse_lazy("station-choices"),
            "spellcheck": "false",
        }
        super().__init__(
            max_length=250,
            widget=forms.TextInput(attrs=attrs),
            help_text="Name, number or short name.",
            **options,
        )

    def prepare_value(self, value: Any) -> Any:
        """Show a station's number with its name."""
        number = station_number(str(value))
        station = None if number is None else Station.objects.filter(pk=number).first()
        return chosen_text(station) if station else value

    def clean(self, value: Any) -> int:
        return number_of(super().clean(value))


def chosen_text(station: Station) -> str:
    """The field's text for a chosen station. Stations may share a name, but not the number."""
    return f"{station.name} #{station.pk}"


def number_of(text: str) -> int:
    """The number of the station that the text names. Raises ValidationError."""
    named = Station.objects.filter(is_named(text) | Q(name__iexact=text))
    numbers = list(named.order_by("id").values_list("id", flat=True))
    found = NUMBERED.fullmatch(text)
    number = station_number(found[1]) if found else None
    if number is not None and (number in numbers or not numbers):
        check_is_known(number)
        return number
    if len(numbers) == 1:
        return numbers[0]
    raise ValidationError(several(text, numbers) if numbers else none_called(text))


def check_is_known(number: int) -> None:
    """Refuse a station that no feed has listed. Without feeds, any number will do."""
    station = capacities_of([number])[number]
    if not station.is_listed and (sentence := about_stranger(station)):
        raise ValidationError(sentence)


def several(text: str, numbers: list[int]) -> str:
    some = ", ".join(f"#{number}" for number in numbers[:LISTED_IN_ERRORS])
    return f"{len(numbers)} stations are called “{isolated(text)}”. Enter a number: {some}."


def none_called(text: str) -> str:
    similar = search_stations(Station.objects.present(), text)[:LISTED_IN_ERRORS]
    names = ", ".join(isolated(chosen_text(station)) for station in similar)
    hint = f" Similar: {names}." if names else ""
    return f"No station is called “{isolated(text)}”.{hint}"
