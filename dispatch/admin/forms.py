"""Forms shown before an operation. Field names are the service's argument names."""

from typing import Any

from django import forms
from django.conf import settings

from .. import services
from ..models import INT4_MAX, TEXT_LENGTH, WORKER_ID_LENGTH
from ..services import Report
from ..texts import is_printable


class DateTimeInput(forms.DateTimeInput):
    """The browser's own field for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "any"}, format="%Y-%m-%dT%H:%M:%S")


class MoveForm(forms.ModelForm):
    """A new suggestion or task."""

    def clean(self) -> dict[str, Any] | None:
        """Refuse a station that the service would refuse, beside its field."""
        data = super().clean() or self.cleaned_data
        ends = {name: data[name] for name in ("from_station_id", "to_station_id") if name in data}
        if settings.UNKNOWN_STATIONS == "refuse" and len(ends) == 2:
            unknown = services.doubts_about(self._meta.model(**ends)).unknown_station_ids
            for name, number in ends.items():
                if number in unknown:
                    self.add_error(name, f"No feed has listed station {number}. Check the number.")
        return data


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=TEXT_LENGTH, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


class RejectForm(ReasonForm):
    reason = forms.CharField(
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="The team that owns the model will read this.",
    )


def validate_single_line(text: str) -> None:
    if not is_printable(text):
        raise forms.ValidationError("Enter a single line of printable characters.")


class ReassignForm(forms.Form):
    worker_id = forms.CharField(
        label="Crew",
        max_length=WORKER_ID_LENGTH,
        validators=[validate_single_line],
        widget=forms.TextInput(attrs={"autofocus": True}),
        help_text="The name the crew signs in with, such as van-3.",
    )
    reason = forms.CharField(max_length=TEXT_LENGTH, widget=forms.Textarea(attrs={"rows": 3}))


class ReportForm(forms.Form):
    moved_qty = forms.IntegerField(
        label="Bikes moved",
        min_value=0,
        max_value=INT4_MAX,
        widget=forms.NumberInput(attrs={"autofocus": True}),
    )
    note = forms.CharField(
        max_length=TEXT_LENGTH, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean(self) -> dict[str, Any]:
        return {"report": Report(**self.cleaned_data)} if not self.errors else {}
