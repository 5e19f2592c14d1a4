"""Operations on rows: one row by its button, or many by the list's action."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from .base import ID, ConsoleAdmin
from .forms import OperationForm
from .results import Results, outcomes
from .routes import attach_names

MAX_LISTED = 20
# Time budget of one request for many rows. Rows that it does not reach are reported.
BUDGET_SECONDS = 6
# Rows in one transaction, which locks their stations and suggestions until it ends.
BATCH_SIZE = 200


def from_board(request: HttpRequest) -> bool:
    """True if the form was sent from the board, so the response leads back there."""
    return "board" in request.POST


def board_url(request: HttpRequest) -> str:
    """The board with the filters that the form was sent under; for a script, only its state."""
    kind = request.get_preferred_type(["text/html", "application/json"])
    address = reverse("board:answer" if kind == "application/json" else "board:page")
    filters = request.POST.get("board", "")
    return f"{address}?{filters}" if "=" in filters else address


def posted_ids(request: HttpRequest) -> set[int]:
    """The ids of the rows that the form names. BadRequest: one of them is no id."""
    texts = request.POST.getlist(ACTION_CHECKBOX_NAME)
    if not all(map(ID.fullmatch, texts)):
        raise BadRequest("Selected rows must be given by id.")
    return {int(text) for text in texts}


@dataclass(frozen=True)
class Operation:
    """A service offered in the console.

    `run(pk, actor=..., **answers)` takes the answers to `form`.
    `run_many(pks, actor=..., **answers)` does the same for many rows and returns a result for each
    id; without it, `run` is called for each row.
    `form` is shown before the operation; `bulk_form`, if any, replaces it for many rows. Without a
    form, `asks` decides from the rows whether the user must confirm; by default, if there are many.
    `claim_bound`: `run` takes the `attempt` that the page showed, so that it fails if the task has
    been claimed again since.
    `permission` names the verbs of the required permissions, or full codenames if they are about
    another model. `possible` decides which rows get a button; operations with `in_list` have a
    button in the list too.
    `done` follows a row's name in a message. `question` is the form's title, without its "?".
    `cautions` returns sentences about each row, by its id, for the confirmation form.
    `note` names the result, as markup, after `done` and `joint`; `warnings` are shown beside it.
    A POST to `undo_url` undoes the operation; empty: it cannot be undone.
    """

    name: str
    label: str
    done: str
    permission: str
    run: Callable[..., Any]
    run_many: Callable[..., dict[int, Any]] | None = None
    form: type[OperationForm] | None = None
    bulk_form: type[OperationForm] | None = None
    asks: Callable[[Sequence[Any]], bool] = lambda moves: len(moves) > 1
    question: str = "{label} {rows}"
    cautions: Callable[[Sequence[Any]], dict[int, list[str]]] = lambda _: {}
    possible: Callable[[Any], bool] = lambda _: True
    in_list: bool = False
    in_bulk: bool = True
    claim_bound: bool = False
    note: Callable[[Any], str] = lambda _: ""
    joint: str = " as "
    warnings: Callable[[Any], list[str]] = lambda _: []
    undo_url: Callable[[Any], str] = lambda _: ""


class OperationsAdmin(ConsoleAdmin):
    """A list whose rows change through operations only."""

    MAX_SELECTED = 1000

    operations: tuple[Operation, ...] = ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Saving a form would overwrite newer values.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may(self, request: HttpRequest, operation: Operation) -> bool:
        codenames = [
            each if "_" in each else f"{each}_{self.opts.model_name}"
            for each in operation.permission.split()
        ]
        return self.has_view_permission(request) and request.user.has_perms(
            [f"dispatch.{codename}" for codename in codenames]
        )

    def offered(self, request: HttpRequest) -> list[Operation]:
        return [operation for operation in self.operations if self.may(request, operation)]

    # Many rows: the list's action

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Only the user's operations: Django refuses to run an action that is not offered."""
        return {
            f"{operation.name}_selected": (
                partial(type(self).act_on_selected, operation=operation),
                f"{operation.name}_selected",
                operation.label,
            )
            for operation in self.offered(request)
            if operation.in_bulk
        }

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        posted_ids(request)
        return super().response_action(request, *args, **kwargs)

    def act_on_selected(
        self, request: HttpRequest, queryset: QuerySet[Any], operation: Operation
    ) -> HttpResponse | None:
        page = self.operate(request, operation, self.selected_ids(request, queryset))
        return page or (redirect(board_url(request)) if from_board(request) else None)

    def selected_ids(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[int]:
        """Selected ids in order, including rows that have left the table since the page loaded."""
        if request.POST.get("select_across") == "1":
            ids = queryset.order_by("id").values_list("id", flat=True)
            return list(ids[: self.MAX_SELECTED + 1])
        return sorted(posted_ids(request))

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
        """The button's URL relative to the list's."""
        if operation.claim_bound:
            query["attempt"] = row.attempt
        return f"{row.pk}/{operation.name}/?{urlencode(query)}"

    def button_view(self, request: HttpRequest, pk: int, operation: Operation) -> HttpResponse:
        if request.method != "POST":
            # A user who had to sign in again arrives here by GET, which must not change anything.
            return HttpResponseRedirect(self.list_url())
        if not self.may(request, operation):
            raise PermissionDenied
        claim = {}
        if operation.claim_bound and ID.fullmatch(request.GET.get("attempt", "")):
            claim["attempt"] = int(request.GET["attempt"])
        page = self.operate(request, operation, [pk], claim)
        return page or HttpResponseRedirect(self.back_url(request, pk))

    def back_url(self, request: HttpRequest, pk: int) -> str:
        """The page that the button was on: the board, the row's own page, or the filtered list.

        A row that has left the table has no page any more: back to the list.
        """
        if from_board(request):
            return board_url(request)
        if "page" in request.GET and self.get_queryset(request).filter(pk=pk).exists():
            return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])
        return f"{self.list_url()}?{request.GET.get('back', '')}"

    # Both

    def operate(
        self,
        request: HttpRequest,
        operation: Operation,
        ids: list[int],
        claim: dict[str, int] | None = None,
    ) -> HttpResponse | None:
        """Return the form to fill in first, or None once the operation has run."""
        if len(ids) > self.MAX_SELECTED:
            text = f"Nothing was changed. Select at most {self.MAX_SELECTED:,} rows."
            self.message_user(request, text, messages.ERROR)
            return None
        form = self.form_for(request, operation, ids)
        if form is not None and not form.is_valid():
            return self.show_form(request, operation, ids, form)
        answers = form.cleaned_data if form is not None else {}
        self.run_each(request, operation, ids, {**answers, **(claim or {})})
        return None

    def form_for(
        self, request: HttpRequest, operation: Operation, ids: list[int]
    ) -> OperationForm | None:
        """The form to fill in first, bound to the user's entries. None: no form is needed."""
        form_class = (len(ids) > 1 and operation.bulk_form) or operation.form
        is_confirmed = "confirmed" in request.POST
        if form_class is None and is_confirmed:
            return None
        rows = list(self.model._default_manager.filter(pk__in=ids).order_by("id"))
        if form_class is None and not operation.asks(rows):
            return None
        return (form_class or OperationForm)(request.POST if is_confirmed else None, rows=rows)

    def show_form(
        self, request: HttpRequest, operation: Operation, ids: list[int], form: OperationForm
    ) -> HttpResponse:
        moves = form.rows[:MAX_LISTED]
        attach_names(moves)
        cautions = operation.cautions(moves)
        for move in moves:
            move.cautions = cautions.get(move.pk, [])
        one, many = self.opts.verbose_name, self.opts.verbose_name_plural
        rows = f"{one} {ids[0]}" if len(ids) == 1 else f"{len(ids)} {many}"
        them = "it" if len(ids) == 1 else "them"
        question = operation.question.format(label=operation.label, rows=rows, them=them)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{question}?",
            "opts": self.opts,
            "form": form,
            "action": f"{operation.name}_selected",
            "submit": question,
            "checkbox": ACTION_CHECKBOX_NAME,
            "ids": ids,
            "moves": moves,
            "bikes": sum(move.qty for move in form.rows),
            "back": self.back_from_form(request, ids[0]),
        }
        return TemplateResponse(request, "admin/dispatch/confirm.html", context)

    def back_from_form(self, request: HttpRequest, pk: int) -> str:
        match = request.resolver_match
        if from_board(request) or (match and "pk" in match.kwargs):
            return self.back_url(request, pk)
        return request.get_full_path()

    def run_each(
        self,
        request: HttpRequest,
        operation: Operation,
        ids: list[int],
        answers: dict[str, Any],
    ) -> None:
        """Call the service for all ids as the signed-in user, and report every result.

        A refusal does not undo other rows. A lock timeout undoes its batch of BATCH_SIZE.
        """
        results = Results(operation, self.opts, ids)
        deadline = time.monotonic() + BUDGET_SECONDS
        size = BATCH_SIZE if operation.run_many else 1
        for start in range(0, len(ids), size):
            if time.monotonic() > deadline:
                results.not_reached = len(ids) - start
                break
            batch = ids[start : start + size]
            for pk, result in outcomes(operation, batch, request.user.get_username(), answers):
                results.add(pk, result)
        level = messages.SUCCESS if results.is_complete else messages.WARNING
        self.message_user(request, results.message(), level)
        for warning in results.warnings if results.is_single else []:
            self.message_user(request, warning, messages.WARNING)
