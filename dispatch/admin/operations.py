"""What a dispatcher does to rows: by a button, one at a time, or to many by the list's action."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from ..exceptions import Refusal

ID = re.compile(r"[0-9]{1,18}", re.ASCII)
MOST_SHOWN = 20


@dataclass(frozen=True)
class Operation:
    """A service that is offered in the console.

    `run(pk, actor=..., **answers)`, with the answers to `form`, if something is asked first.
    `permission`: the verb of the permission that it needs. `possible`: for which rows it has a
    button; those with `in_list` have it in the list too. `notes`: what to say of a result.
    """

    name: str
    label: str
    done: str
    permission: str
    run: Callable[..., Any]
    form: type[forms.Form] | None = None
    possible: Callable[[Any], bool] = lambda _: True
    in_list: bool = False
    in_bulk: bool = True
    notes: Callable[[Any], list[str]] = lambda _: []


class OperationsAdmin(admin.ModelAdmin):
    """A list and pages that change nothing themselves: every change is an operation."""

    MOST_AT_ONCE = 1000
    REFUSALS_SHOWN = 5

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
        return self.operate(request, operation, self.selected_ids(request, queryset))

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
                f"<int:pk>/{operation.name}/",
                self.admin_site.admin_view(self.button_view),
                {"operation": operation},
                name=self.button_name(operation),
            )
            for operation in self.operations
        ]
        return buttons + super().get_urls()

    def button_name(self, operation: Operation) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{operation.name}"

    def button_url(self, operation: Operation, pk: int) -> str:
        return reverse(f"admin:{self.button_name(operation)}", args=[pk])

    def button_view(self, request: HttpRequest, pk: int, operation: Operation) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.may(request, operation):
            raise PermissionDenied
        page = self.operate(request, operation, [pk])
        return page or HttpResponseRedirect(self.back_url(request, pk))

    def back_url(self, request: HttpRequest, pk: int) -> str:
        """Where the button was: on the row's own page, or in the list with these filters."""
        if "page" in request.GET:
            return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])
        return f"{self.list_url()}?{request.GET.get('back', '')}"

    def list_url(self) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    # Both

    def operate(
        self, request: HttpRequest, operation: Operation, ids: list[int]
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
        self.run_each(request, operation, ids, answers)
        return None

    def ask(
        self, request: HttpRequest, operation: Operation, ids: list[int], form: forms.Form
    ) -> HttpResponse:
        kind = self.opts.verbose_name if len(ids) == 1 else self.opts.verbose_name_plural
        context = {
            **self.admin_site.each_context(request),
            "title": f"{operation.label} {len(ids)} {kind}",
            "opts": self.opts,
            "form": form,
            "action": f"{operation.name}_selected",
            "submit": operation.label,
            "checkbox": ACTION_CHECKBOX_NAME,
            "ids": ids,
            "moves": self.model._default_manager.filter(pk__in=ids[:MOST_SHOWN]).order_by("id"),
            "back": self.back_url(request, ids[0]) if len(ids) == 1 else self.list_url(),
        }
        return TemplateResponse(request, "admin/dispatch/ask.html", context)

    def run_each(
        self,
        request: HttpRequest,
        operation: Operation,
        ids: Iterable[int],
        answers: dict[str, Any],
    ) -> None:
        """Call the service for each id, as the signed-in user, and say truthfully what came of it.

        Each is a decision of its own: one refusal does not undo the others.
        """
        done, refusals, notes = 0, [], []
        for pk in ids:
            try:
                result = operation.run(pk, actor=request.user.get_username(), **answers)
            except Refusal as refusal:
                refusals.append(str(refusal))
            else:
                done += 1
                notes += operation.notes(result)
        text = f"{done} {operation.done}"
        if refusals:
            text += f"; {len(refusals)} skipped: {self.first_of(refusals)}"
        else:
            text += "."
        self.message_user(request, text, messages.WARNING if refusals else messages.SUCCESS)
        if notes:
            self.message_user(request, self.first_of(notes), messages.WARNING)

    def first_of(self, sentences: list[str]) -> str:
        more = len(sentences) - self.REFUSALS_SHOWN
        return " ".join(sentences[: self.REFUSALS_SHOWN]) + (f" And {more} more." * (more > 0))
