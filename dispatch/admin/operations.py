"""What a dispatcher does to rows: by a button, one at a time, or to many by the list's action."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ..exceptions import Refusal
from .lookups import NamedLookups
from .routes import attach_names

ID = re.compile(r"[0-9]{1,18}", re.ASCII)
MOST_SHOWN = 20
SENTENCES_SHOWN = 5
# Of one request's work on many rows; what it then has not reached, it says.
LONGEST_SECONDS = 6
# Rows of one transaction: their stations and suggestions are locked until it ends.
AT_ONCE = 200
BOARD = "board:page"


def from_board(request: HttpRequest) -> bool:
    """Whether it was asked for there, and so leads back to it."""
    return "board" in request.POST


@dataclass(frozen=True)
class Operation:
    """A service that is offered in the console.

    `run(pk, actor=..., **answers)`, with the answers to `form`, if something is asked first.
    `run_many(pks, actor=..., **answers)`: the same for many rows at once, what came of each by its
    key; without it, `run` for one after the other.
    `of_claim`: it is about the claim that the page showed, `run` takes its `attempt`.
    `permission`: the verb of the permission that it needs. `possible`: for which rows it has a
    button; those with `in_list` have it in the list too. `became`: what to add about one result.
    `notes`: what to warn of about each.
    """

    name: str
    label: str
    done: str
    permission: str
    run: Callable[..., Any]
    run_many: Callable[..., dict[int, Any]] | None = None
    form: type[forms.Form] | None = None
    possible: Callable[[Any], bool] = lambda _: True
    in_list: bool = False
    in_bulk: bool = True
    of_claim: bool = False
    became: Callable[[Any], str] = lambda _: ""
    notes: Callable[[Any], list[str]] = lambda _: []


class OperationsAdmin(NamedLookups):
    """A list and pages that change nothing themselves: every change is an operation."""

    MOST_AT_ONCE = 1000

    operations: tuple[Operation, ...] = ()

    def may(self, request: HttpRequest, operation: Operation) -> bool:
        permission = f"dispatch.{operation.permission}_{self.opts.model_name}"
        return self.has_view_permission(request) and request.user.has_perm(permission)

    def offered(self, request: HttpRequest) -> list[Operation]:
        return [operation for operation in self.operations if self.may(request, operation)]

    # Many rows: the list's action

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Only what the user may do: an action that is not offered is not run either."""
        kind = self.opts.verbose_name_plural
        return {
            f"{operation.name}_selected": (
                partial(type(self).act_on_selected, operation=operation),
                f"{operation.name}_selected",
                f"{operation.label} selected {kind}",
            )
            for operation in self.offered(request)
            if operation.in_bulk
        }

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not all(map(ID.fullmatch, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            raise BadRequest("What is selected must be ids.")
        return super().response_action(request, *args, **kwargs)

    def act_on_selected(
        self, request: HttpRequest, queryset: QuerySet[Any], operation: Operation
    ) -> HttpResponse | None:
        page = self.operate(request, operation, self.selected_ids(request, queryset))
        return page or (redirect(BOARD) if from_board(request) else None)

    def selected_ids(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[int]:
        """What was ticked, in id order, also what has left the table since the page was shown."""
        if request.POST.get("select_across") == "1":
            ids = queryset.order_by("id").values_list("id", flat=True)
            return list(ids[: self.MOST_AT_ONCE + 1])
        return sorted({int(pk) for pk in request.POST.getlist(ACTION_CHECKBOX_NAME)})

    # One row: its button

    def get_urls(self) -> list[URLPattern]:
        buttons = [
            path(
                f"<row_id:pk>/{operation.name}/",
                self.admin_site.admin_view(self.button_view),
                {"operation": operation},
            )
            for operation in self.operations
        ]
        return buttons + super().get_urls()

    def button_url(self, operation: Operation, row: Any, **query: str) -> str:
        return self.list_url() + self.button_path(operation, row, **query)

    def button_path(self, operation: Operation, row: Any, **query: str) -> str:
        """What follows the list's address."""
        if operation.of_claim:
            query["attempt"] = row.attempt
        return f"{row.pk}/{operation.name}/?{urlencode(query)}"

    def button_view(self, request: HttpRequest, pk: int, operation: Operation) -> HttpResponse:
        if request.method != "POST":
            # Who had to sign in again comes back this way. Nothing is done by a link.
            return HttpResponseRedirect(self.list_url())
        if not self.may(request, operation):
            raise PermissionDenied
        shown = {}
        if operation.of_claim and ID.fullmatch(request.GET.get("attempt", "")):
            shown["attempt"] = int(request.GET["attempt"])
        page = self.operate(request, operation, [pk], shown)
        return page or HttpResponseRedirect(self.back_url(request, pk))

    def back_url(self, request: HttpRequest, pk: int) -> str:
        """Where the button was: on the board, on the row's own page, or in the list as filtered.

        The list also when the row has left the table and so has no page any more.
        """
        if from_board(request):
            return reverse(BOARD)
        if "page" in request.GET and self.get_queryset(request).filter(pk=pk).exists():
            return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])
        return f"{self.list_url()}?{request.GET.get('back', '')}"

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    # Both

    def operate(
        self,
        request: HttpRequest,
        operation: Operation,
        ids: list[int],
        shown: dict[str, int] | None = None,
    ) -> HttpResponse | None:
        """The page that asks first, or None: it is done, and a message says what came of it."""
        if len(ids) > self.MOST_AT_ONCE:
            text = f"Nothing was done: select at most {self.MOST_AT_ONCE} at once."
            self.message_user(request, text, messages.ERROR)
            return None
        answers: dict[str, Any] = {}
        if operation.form is not None:
            form = operation.form(request.POST if "answered" in request.POST else None)
            if not form.is_valid():
                return self.ask(request, operation, ids, form)
            answers = form.cleaned_data
        self.run_each(request, operation, ids, {**answers, **(shown or {})})
        return None

    def ask(
        self, request: HttpRequest, operation: Operation, ids: list[int], form: forms.Form
    ) -> HttpResponse:
        moves = list(self.model._default_manager.filter(pk__in=ids[:MOST_SHOWN]).order_by("id"))
        attach_names(moves)
        one, many = self.opts.verbose_name, self.opts.verbose_name_plural
        which = f": {one} {ids[0]}" if len(ids) == 1 else f" {len(ids)} {many}"
        context = {
            **self.admin_site.each_context(request),
            "title": f"{operation.label}{which}",
            "opts": self.opts,
            "form": form,
            "action": f"{operation.name}_selected",
            "submit": operation.label,
            "checkbox": ACTION_CHECKBOX_NAME,
            "ids": ids,
            "moves": moves,
            "back": (
                self.back_url(request, ids[0])
                if from_board(request)
                or (request.resolver_match and "pk" in request.resolver_match.kwargs)
                else request.get_full_path()
            ),
        }
        return TemplateResponse(request, "admin/dispatch/ask.html", context)

    def run_each(
        self,
        request: HttpRequest,
        operation: Operation,
        ids: list[int],
        answers: dict[str, Any],
    ) -> None:
        """Call the service for all ids, as the signed-in user, and say truthfully what came of it.

        One refusal does not undo the others; a lock that is not had in time undoes its batch of
        AT_ONCE.
        """
        tally = Tally()
        enough = time.monotonic() + LONGEST_SECONDS
        size = AT_ONCE if operation.run_many else 1
        for start in range(0, len(ids), size):
            if time.monotonic() > enough:
                rest = len(ids) - start
                tally.refusals.append(f"The last {rest} took too long: select them again.")
                break
            batch = ids[start : start + size]
            for result in outcomes(operation, batch, request.user.get_username(), answers):
                tally.add(result, operation)
        level = messages.WARNING if tally.refusals else messages.SUCCESS
        self.message_user(request, tally.told(operation, self.opts.verbose_name, ids), level)
        if tally.notes:
            self.message_user(request, first_of(tally.notes), messages.WARNING)


def outcomes(
    operation: Operation, ids: list[int], actor: str, answers: dict[str, Any]
) -> Iterator[Any]:
    """What came of each: a result of the service, or a refusal."""
    try:
        if operation.run_many is not None and len(ids) > 1:
            yield from operation.run_many(ids, actor=actor, **answers).values()
        else:
            for pk in ids:
                yield operation.run(pk, actor=actor, **answers)
    except Refusal as refusal:
        yield refusal
    except OperationalError:
        # The connection may have been lost when it had committed.
        why = "the database was busy or away; look whether it was done, then try again."
        yield from (Refusal(f"{pk}: {why}") for pk in ids)


@dataclass
class Tally:
    """What came of an operation on some rows."""

    became: list[str] = field(default_factory=list)
    unchanged: int = 0
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, result: Any, operation: Operation) -> None:
        if isinstance(result, Refusal):
            self.refusals.append(str(result))
        elif getattr(result, "changed", True):
            self.became.append(operation.became(result))
            self.notes += operation.notes(result)
        else:
            self.unchanged += 1

    def told(self, operation: Operation, kind: Any, ids: list[int]) -> str:
        text = f"{len(self.became)} {operation.done}"
        if len(ids) == 1 and self.became:
            text = f"{str(kind).capitalize()} {ids[0]} {operation.done}{self.became[0]}"
        if self.unchanged:
            text += f"; {self.unchanged} already so"
        if self.refusals:
            return f"{text}; {len(self.refusals)} skipped: {first_of(self.refusals)}"
        return f"{text}."


def first_of(sentences: list[str]) -> str:
    more = len(sentences) - SENTENCES_SHOWN
    return " ".join(sentences[:SENTENCES_SHOWN]) + (f" And {more} more." * (more > 0))
