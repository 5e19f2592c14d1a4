"""The forms that choose a crew for tasks."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms

from ..models import TEXT_LENGTH, WORKER_ID_LENGTH
from ..overview.crew_choices import CrewChoice, crew_choices
from ..overview.fit_checks import check_fit
from ..texts import validate_single_line
from .forms import OperationForm

Choices = list[tuple[str, Any]]


class CrewNameField(forms.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=WORKER_ID_LENGTH,
            validators=[validate_single_line],
            help_text="The crew id, such as van-3.",
            **options,
        )


class ReasonField(forms.CharField):
    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3})
        super().__init__(max_length=TEXT_LENGTH, widget=widget, **options)


class AssignForm(OperationForm):
    """A crew of the roster, or another one after a tick: no crew would get a task with a mistyped
    name.

    Without active crews on the roster, any name may be entered.
    """

    worker_id = forms.ChoiceField(
        label="Crew", required=False, widget=forms.Select(attrs={"autofocus": True})
    )
    other = CrewNameField(label="Another crew", required=False)
    unlisted = forms.BooleanField(label="This crew is not on the roster", required=False)
    reason = ReasonField(label="Reason (optional)", required=False)

    def __init__(self, data: Any = None, *, rows: Sequence[Any] = ()) -> None:
        super().__init__(data, rows=rows)
        choices = crew_choices(rows)
        crew: Any = self.fields["worker_id"]
        crew.choices = [("", "Choose a crew"), *grouped(choices)]
        if not choices:
            self.fields["worker_id"] = CrewNameField(label="Crew")
            del self.fields["other"], self.fields["unlisted"]

    def clean(self) -> dict[str, Any]:
        answers = dict(self.cleaned_data)
        other, is_unlisted = answers.pop("other", ""), answers.pop("unlisted", False)
        if "other" not in self.fields or self.errors:
            return answers
        if bool(other) == bool(answers["worker_id"]):
            self.add_error("worker_id", "Choose one crew." if other else "Choose a crew.")
        elif other and not is_unlisted:
            self.add_error("unlisted", "Tick this to assign a crew that is not on the roster.")
        return {**answers, "worker_id": answers["worker_id"] or other}


class ApproveAndAssignForm(AssignForm):
    """Offers to approve only as many bikes as fit; ticked if the guard refuses all of them."""

    fit = forms.BooleanField(label="Only as many bikes as fit", required=False)

    def __init__(self, data: Any = None, *, rows: Sequence[Any] = ()) -> None:
        super().__init__(data, rows=rows)
        checks = [check for check in check_fit(rows).values() if check.can_reduce]
        if checks:
            self.fields["fit"].initial = any(check.refused for check in checks)
        else:
            del self.fields["fit"]


class ReassignForm(AssignForm):
    """Taking a task from a crew needs a reason."""

    reason = ReasonField(label="Reason (required)")


def grouped(choices: Iterable[CrewChoice]) -> Choices:
    groups: dict[str, Choices] = {"Free": [], "Busy": []}
    for choice in choices:
        groups["Free" if choice.is_free else "Busy"].append((choice.crew.worker_id, choice.label))
    return [(name, members) for name, members in groups.items() if members]
