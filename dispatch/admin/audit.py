"""The audit trail: sign-ins, accounts, roles, tokens and phones, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from axes.models import AccessLog
from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import F, Func, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from ..models import ApiToken, CrewDevice
from ..texts import isolated
from .csv_lists import cell, csv_file

PERMISSION = "admin.view_logentry"
ENTRIES_SHOWN = 100
MOST_EXPORTED = 50_000
SENTENCES = {
    "signed in": "{actor} signed in",
    "signed out": "{actor} signed out",
    "added": "{actor} added {subject}",
    "changed": "{actor} changed {subject}",
    "deleted": "{actor} deleted {subject}",
    "token created": "{actor} created token {subject} for {detail}",
    "token revoked": "{actor} revoked token {subject} of {detail}",
    "phone joined": "A phone joined crew {detail}: {subject}",
    "phone signed out": "{actor} signed out a phone of crew {detail}: {subject}",
}
TEXTS = ("actor", "subject", "detail", "address")
FLAGS = {"added": ADDITION, "changed": CHANGE, "deleted": DELETION}
# The models whose forms decide on access. Operations on moves are on the page Activity.
ACCOUNT_MODELS = ("user", "group", "crew")


@dataclass(frozen=True)
class Entry:
    """`address`: of the client that signed in; empty for other entries."""

    at: datetime
    kind: str
    actor: str
    subject: str
    detail: str
    address: str

    @property
    def day(self) -> date:
        return timezone.localtime(self.at).date()

    @property
    def summary(self) -> str:
        names = {name: isolated(getattr(self, name)) for name in ("actor", "subject", "detail")}
        return SENTENCES[self.kind].format(**names)

    @property
    def remark(self) -> str:
        """The browser of a sign-in, or the changes of a form, such as "Changed Groups."."""
        if self.kind == "signed in":
            return self.detail
        if self.kind in FLAGS:
            entry = LogEntry(action_flag=FLAGS[self.kind], change_message=self.detail)
            return entry.get_change_message()
        return ""


@require_safe
def audit_page(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    if request.GET.get("as") == "csv":
        return csv_file("audit", rows())
    page = Paginator(all_entries(), ENTRIES_SHOWN).get_page(request.GET.get("page"))
    context = {
        **admin.site.each_context(request),
        "title": "Audit trail",
        "page": page,
        "entries": [Entry(*values) for values in page],
        "most_exported": MOST_EXPORTED,
    }
    return TemplateResponse(request, "admin/dispatch/audit.html", context)


def rows() -> Iterator[list[Any]]:
    yield ["at", "kind", "actor", "address", "summary", "remark"]
    for values in all_entries()[:MOST_EXPORTED]:
        entry = Entry(*values)
        yield [cell(entry.at), entry.kind, entry.actor, entry.address, entry.summary, entry.remark]


def all_entries() -> QuerySet[Any, Any]:
    """The fields of each `Entry`, newest first."""
    return sign_ins().union(*forms(), *tokens(), *phones(), all=True).order_by("-moment")


def sign_ins() -> QuerySet[Any, Any]:
    # The cast of an inet to text would add the length of its mask.
    client = {
        "actor": "username",
        "detail": "user_agent",
        "address": Func(F("ip_address"), function="host", output_field=TextField()),
    }
    ended = AccessLog.objects.filter(logout_time__isnull=False)
    return entries(AccessLog.objects.all(), "signed in", "attempt_time", **client).union(
        entries(ended, "signed out", "logout_time", **client), all=True
    )


def forms() -> Iterator[QuerySet[Any, Any]]:
    about_accounts = LogEntry.objects.filter(content_type__model__in=ACCOUNT_MODELS)
    for kind, flag in FLAGS.items():
        yield entries(
            about_accounts.filter(action_flag=flag),
            kind,
            "action_time",
            actor="user__username",
            subject=Concat("content_type__model", Value(" "), "object_repr"),
            detail="change_message",
        )


def tokens() -> Iterator[QuerySet[Any, Any]]:
    about = {
        "subject": Concat("prefix", Value("… ("), "label", Value(")")),
        "detail": "user__username",
    }
    revoked = ApiToken.objects.filter(revoked_at__isnull=False)
    made = ApiToken.objects.all()
    yield entries(made, "token created", "created_at", actor="created_by", **about)
    yield entries(revoked, "token revoked", "revoked_at", actor="revoked_by", **about)


def phones() -> Iterator[QuerySet[Any, Any]]:
    about = {"subject": "label", "detail": "crew__worker_id"}
    revoked = CrewDevice.objects.filter(revoked_at__isnull=False)
    yield entries(CrewDevice.objects.all(), "phone joined", "created_at", **about)
    yield entries(revoked, "phone signed out", "revoked_at", actor="revoked_by", **about)


def entries(queryset: QuerySet[Any], kind: str, moment: str, **texts: Any) -> QuerySet[Any, Any]:
    """The rows with the columns of an `Entry`. `texts`: a field or expression for each column."""
    columns = {
        name: Coalesce(Cast(texts[name], TextField()), Value(""), output_field=TextField())
        if name in texts
        else Value("", output_field=TextField())
        for name in TEXTS
    }
    rows: QuerySet[Any, Any] = (
        queryset.order_by()
        .annotate(
            moment=F(moment),
            entry_kind=Value(kind, output_field=TextField()),
            **{f"entry_{name}": column for name, column in columns.items()},
        )
        .values_list("moment", "entry_kind", *(f"entry_{name}" for name in TEXTS))
    )
    return rows
