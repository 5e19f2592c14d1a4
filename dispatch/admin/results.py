"""The results of an operation on one or many rows, and the message about them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import OperationalError
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from ..exceptions import Refusal

if TYPE_CHECKING:
    from .operations import Operation

LINES_SHOWN = 100


def outcomes(
    operation: "Operation", ids: list[int], actor: str, answers: dict[str, Any]
) -> Iterator[tuple[int, Any]]:
    """Each id with the service's result or refusal."""
    try:
        if operation.run_many is not None and len(ids) > 1:
            yield from operation.run_many(ids, actor=actor, **answers).items()
        else:
            for pk in ids:
                yield pk, operation.run(pk, actor=actor, **answers)
    except Refusal as refusal:
        yield pk, refusal
    except OperationalError:
        # The connection may have been lost after the commit.
        why = "The database did not respond. Check whether it was changed before you try again."
        yield from ((pk, Refusal(why)) for pk in ids)


@dataclass
class Results:
    """The results of one operation on some rows. `model` names their model."""

    operation: "Operation"
    model: Any
    ids: list[int]
    lines: list[SafeString] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    done: int = 0
    unchanged: int = 0
    refused: int = 0
    not_reached: int = 0

    @property
    def is_single(self) -> bool:
        return len(self.ids) == 1

    @property
    def is_complete(self) -> bool:
        return not self.refused and not self.not_reached

    def add(self, pk: int, result: Any) -> None:
        row = f"{self.model.verbose_name} {pk}"
        if isinstance(result, Refusal):
            self.refused += 1
            self.lines.append(self.refusal(pk, row, str(result)))
        elif getattr(result, "changed", True):
            self.done += 1
            warnings = self.operation.warnings(result)
            self.warnings += warnings
            self.lines.append(self.success(pk, row, result, warnings))
        else:
            self.unchanged += 1
            if self.is_single:
                self.lines.append(format_html("{} unchanged.", capfirst(row)))

    def success(self, pk: int, row: str, result: Any, warnings: list[str]) -> SafeString:
        operation = self.operation
        note = operation.note(result)
        verb = f"{operation.done}{operation.joint}" if note else ""
        # The board shows this part in the row, with a button for `data-undo`.
        shown = format_html(
            '<span data-result="{} {}" data-verb="{}" data-undo="{}">{}</span>',
            self.model.model_name,
            pk,
            verb,
            operation.undo_url(result),
            note or operation.done,
        )
        if self.is_single:
            return format_html("{} {}{}.", capfirst(row), verb, shown)
        link = "→ " if note else ""
        rest = format_html_join("", " {}", ((warning,) for warning in warnings))
        return format_html("#{} {}{}{}", pk, link, shown, rest)

    def refusal(self, pk: int, row: str, reason: str) -> SafeString:
        if reason.startswith(capfirst(row)):
            return format_html("{}", reason)
        page = reverse(f"admin:{self.model.app_label}_{self.model.model_name}_change", args=[pk])
        done = self.operation.done
        return format_html('Not {}: <a href="{}">{}</a>. {}', done, page, row, reason)

    def message(self) -> SafeString:
        if self.is_single:
            return self.lines[0]
        shown = format_html_join("", "<li>{}</li>", ((line,) for line in self.lines[:LINES_SHOWN]))
        more = len(self.lines) - LINES_SHOWN
        rest = format_html("<li>And {} more.</li>", more) if more > 0 else ""
        return format_html('{}.<ul class="results">{}{}</ul>', self.counts(), shown, rest)

    def counts(self) -> str:
        done = self.operation.done
        counts = [f"{self.done} {done}"]
        if self.unchanged:
            counts.append(f"{self.unchanged} unchanged")
        if self.refused:
            counts.append(f"{self.refused} not {done}")
        if self.not_reached:
            counts.append(f"{self.not_reached} not processed (time limit), select them again")
        return ", ".join(counts)
