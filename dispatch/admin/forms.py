"""Forms shown before an operation. Field names are the service's argument names."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.template.defaultfilters import pluralize

from ..models import TEXT_LENGTH, RejectionCode
from ..services import Report
from ..services.reported import most_bikes
from ..texts import isolated, validate_single_line

# A phone shows it whole beside the task.
MESSAGE_LENGTH = 300


class DateTimeInput(forms.DateTimeInput):
    """The browser's own field for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"step": "any"}, format="%Y-%m-%dT%H:%M:%S")


class OperationForm(forms.Form):
    """Confirms an operation on `rows`."""

    def __init__(self, data: Any = None, *, rows: Sequence[Any] = ()) -> None:
        super().__init__(data)
        self.rows = rows


class MessageForm(OperationForm):
    """A short text for the crew's phone."""

    text = forms.CharField(
        label="Message",
        max_length=MESSAGE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
    )
    # The crew that the page names.
    worker_id = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, rows: Sequence[Any] = ()) -> None:
        super().__init__(data, rows=rows)
        self.fields["worker_id"].initial = next((task.worker_id for task in rows), None)
        crews = [isolated(task.worker_id) if task.worker_id else "the next crew" for task in rows]
        self.fields["text"].help_text = f"For {', '.join(crews)}. A phone shows it with the task."

    def clean_text(self) -> str:
        text = " ".join(self.cleaned_data["text"].split())
        validate_single_line(text)
        return text


class ReasonForm(OperationForm):
    reason = forms.CharField(
        max_length=TEXT_LENGTH, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


class RejectForm(OperationForm):
    """A reason from the list or as text; text alone counts as "other"."""

    code = forms.ChoiceField(
        label="Reason",
        choices=RejectionCode.choices,
        required=False,
        widget=forms.RadioSelect(attrs={"autofocus": True}),
    )
    reason = forms.CharField(
        label="Details",
        max_length=TEXT_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Required for “Other”. The team that owns the model will read this.",
    )

    def clean(self) -> dict[str, Any]:
        answers = {
            **self.cleaned_data,
            "code": self.cleaned_data.get("code") or RejectionCode.OTHER,
        }
        if answers["code"] == RejectionCode.OTHER and not answers.get("reason"):
            self.add_error("reason", "Choose a reason, or enter one.")
        return answers


class ReportForm(OperationForm):
    """The number of bikes moved for one task: by default, all of them."""

    moved_qty = forms.IntegerField(
        label="Bikes moved", min_value=0, widget=forms.NumberInput(attrs={"autofocus": True})
    )
    note = forms.CharField(
        max_length=TEXT_LENGTH, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, data: Any = None, *, rows: Sequence[Any] = ()) -> None:
        super().__init__(data, rows=rows)
        for task in rows:
            most = most_bikes(task)
            sentence = f"Enter 0 to {most}: the task is for {task.qty} bike{pluralize(task.qty)}."
            count: Any = self.fields["moved_qty"]
            count.initial = task.qty
            count.widget.attrs["max"] = most
            count.validators = [
                MinValueValidator(0, sentence),
                MaxValueValidator(most, sentence),
            ]
            count.error_messages |= {"invalid": sentence, "required": sentence}

    def clean(self) -> dict[str, Any]:
        return {"report": Report(**self.cleaned_data)} if not self.errors else {}
