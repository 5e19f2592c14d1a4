"""The console's pages of webhooks: endpoints, with their operations, and deliveries."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..exceptions import Refusal
from ..models import DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookType
from ..texts import isolated, validate_single_line
from .base import ConsoleAdmin, ReadOnlyAdmin
from .webhook_actions import DELIVERY_ACTIONS, ENDPOINT_ACTIONS, ActionForm, RowAction


class EndpointForm(forms.ModelForm):
    description = forms.CharField(max_length=200, required=False, validators=[validate_single_line])
    types = forms.MultipleChoiceField(
        choices=WebhookType,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: all types, also later ones.",
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["url", "description", "types"]
        widgets = {"url": forms.TextInput(attrs={"class": "vLargeTextField"})}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            services.check_url(url)
        except Refusal as refusal:
            raise ValidationError(str(refusal)) from None
        return url


class ActionsAdmin(ConsoleAdmin):
    """A page of one row with buttons. Each shows a page to confirm, and is logged."""

    row_actions: tuple[RowAction, ...] = ()
    change_form_template = "admin/dispatch/webhook_page.html"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        views = [
            path(
                f"<row_id:pk>/{action.name}/",
                self.admin_site.admin_view(self.action_view),
                {"action": action},
                name=f"{self.opts.model_name}_{action.name}",
            )
            for action in self.row_actions
        ]
        return views + super().get_urls()

    def page_context(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        row = self.get_object(request, object_id)
        if row is None or not self.may_act(request):
            return {}
        return {
            "buttons": [
                (
                    action.label,
                    reverse(f"admin:{self.opts.model_name}_{action.name}", args=[row.pk]),
                )
                for action in self.row_actions
                if action.possible(row)
            ]
        }

    def may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perms(
            ["dispatch.view_webhookendpoint", "dispatch.change_webhookendpoint"]
        )

    def action_view(self, request: HttpRequest, pk: int, action: RowAction) -> HttpResponse:
        if not self.may_act(request):
            raise PermissionDenied
        row = self.get_object(request, str(pk))
        if row is None or request.method != "POST":
            # A user who had to sign in again arrives here by GET.
            return HttpResponseRedirect(self.page_of(pk) if row else self.list_url())
        form = action.form(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            context = {"title": f"{action.label}?", "action": action, "row": row, "form": form}
            return self.page(request, "admin/dispatch/webhook_confirm.html", context)
        return self.act(request, row, action, form)

    def act(
        self, request: HttpRequest, row: Any, action: RowAction, form: ActionForm
    ) -> HttpResponse:
        try:
            result = action.run(row.pk, request.user.get_username(), **form.cleaned_data)
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(self.page_of(row.pk))
        done = action.done(result)
        self.log_change(request, row, done)
        if action.shows_secret:
            return self.show_secret(request, result)
        self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(row.pk))

    def show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
        """Show it in this response only: it is in no message, cookie or session."""
        context = {"title": f"Secret of {isolated(str(endpoint))}", "endpoint": endpoint}
        return self.page(request, "admin/dispatch/webhook_secret.html", context)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, template, {**shared, **context})

    def page_of(self, pk: int) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[pk])


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ActionsAdmin):
    form = EndpointForm
    row_actions = ENDPOINT_ACTIONS
    actions = None
    list_display = ["id", "name", "host", "wanted", "health", "queue"]
    sortable_by = ("id",)
    ordering = ["id"]
    show_full_result_count = False
    READONLY = ("health", "succeeded", "failed", "queue", "created_by")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = ["url", "description", "types"]
        return own if obj is None else [*own, *self.READONLY]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.READONLY

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        endpoints: QuerySet[WebhookEndpoint] = super().get_queryset(request)
        return endpoints.annotate(
            **{
                f"{state}_deliveries": Count("deliveries", filter=Q(deliveries__state=state))
                for state in (DeliveryState.PENDING, DeliveryState.DEAD)
            }
        )

    @admin.display(description="Name")
    def name(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.description

    @admin.display(description="Host")
    def host(self, endpoint: WebhookEndpoint) -> str:
        """The rest of the URL may be a secret of the receiver."""
        return urlsplit(endpoint.url).netloc

    @admin.display(description="Types")
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.types) or "all"

    @admin.display(description="State")
    def health(self, endpoint: WebhookEndpoint) -> str:
        if endpoint.disabled_at:
            return f"disabled {moment(endpoint.disabled_at)}. {isolated(endpoint.disabled_why)}"
        if endpoint.failing_since:
            return f"failing since {moment(endpoint.failing_since)}"
        return "enabled"

    @admin.display(description="Deliveries")
    def queue(self, endpoint: Any) -> str:
        return format_html(
            "{} {}",
            deliveries_link(endpoint, DeliveryState.PENDING, endpoint.pending_deliveries),
            deliveries_link(endpoint, DeliveryState.DEAD, endpoint.dead_deliveries),
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            # The sender writes the other columns.
            obj.save(update_fields=["url", "description", "types"])
            return
        created = services.create_endpoint(
            obj.url,
            actor=request.user.get_username(),
            description=obj.description,
            types=obj.types,
        )
        obj.__dict__.update(created.__dict__)

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.show_secret(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context.update(show_save_and_continue=False, show_save_and_add_another=False)
        return super().render_change_form(request, context, *args, **kwargs)


def moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"


def deliveries_link(endpoint: WebhookEndpoint, state: str, number: int) -> str:
    query = {"state__exact": state, "endpoint__id__exact": endpoint.pk}
    url = reverse("admin:dispatch_webhookdelivery_changelist", query=query)
    return format_html('<a href="{}">{} {}</a>', url, number, state)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ActionsAdmin, ReadOnlyAdmin):
    LOOKUPS = {
        "state__exact": "|".join(DeliveryState.values),
        "type__exact": r"[a-z_.]+",
        "endpoint__id__exact": r"[0-9]{1,18}",
    }

    row_actions = DELIVERY_ACTIONS
    list_display = ["id", "created_at", "type", "endpoint", "state", "attempts", "answer"]
    list_filter = ["state"]
    list_select_related = ["endpoint"]
    sortable_by = ("id",)
    ordering = ["-id"]
    show_full_result_count = False
    search_fields = ["event_id__exact"]
    search_help_text = "Search by webhook-id."
    fields = [
        "endpoint",
        "event_id",
        "type",
        "state",
        "tries",
        "next_try_at",
        "last_status",
        "last_answer",
        "created_at",
        "finished_at",
        "body",
    ]

    @admin.display(description="Attempts")
    def attempts(self, delivery: WebhookDelivery) -> str:
        return f"{delivery.tries} attempt{pluralize(delivery.tries)}"

    @admin.display(description="Last answer")
    def answer(self, delivery: WebhookDelivery) -> str:
        return f"{delivery.last_status or ''} {delivery.last_answer[:80]}".strip()
