from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html

from .. import services
from ..models import WORKER_ID_LENGTH, ApiToken
from ..texts import isolated, validate_single_line
from .operations import Operation, OperationsAdmin


class TokenForm(forms.ModelForm):
    label = forms.CharField(
        max_length=100,
        validators=[validate_single_line],
        help_text=ApiToken._meta.get_field("label").help_text,
    )
    worker_id = forms.CharField(
        label="Crew",
        required=False,
        empty_value=None,
        max_length=WORKER_ID_LENGTH,
        validators=[validate_single_line],
        help_text="The crew this token is for. Leave empty for a program.",
    )

    class Meta:
        model = ApiToken
        fields = ["user", "label", "worker_id", "expires_at"]
        help_texts = {"expires_at": "Leave empty for no expiry."}

    def clean(self) -> dict[str, Any] | None:
        data = super().clean() or self.cleaned_data
        user = data.get("user")
        if user and not data.get("worker_id") and user.groups.filter(name="worker").exists():
            raise ValidationError({"worker_id": "A crew's token needs the crew's name."})
        return data


@admin.register(ApiToken)
class ApiTokenAdmin(OperationsAdmin):
    form = TokenForm
    list_display = ["id", "token", "user", "label", "crew", "last_used_at", "state"]
    list_select_related = ["user"]
    search_fields = ["label", "worker_id", "user__username"]
    ordering = ["-id"]
    show_full_result_count = False
    operations = (
        Operation(
            name="revoke",
            label="Revoke",
            done="revoked",
            permission="revoke",
            run=services.revoke_token,
            possible=lambda token: token.revoked_at is None,
            asks=lambda _: False,
        ),
    )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # A token acts with its owner's permissions: it must not exceed those of its creator.
        if db_field.name == "user":
            user: Any = request.user
            kwargs["queryset"] = user.accounts_within_reach()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description="Token")
    def token(self, token: ApiToken) -> str:
        return f"{token.prefix}…"

    @admin.display(description="Crew", empty_value="", ordering="worker_id")
    def crew(self, token: ApiToken) -> str | None:
        return token.worker_id

    @admin.display(description="State")
    def state(self, token: ApiToken) -> str:
        if token.revoked_at:
            return format_html("revoked by <bdi>{}</bdi>", token.revoked_by)
        if token.expires_at and token.expires_at <= timezone.now():
            return "expired"
        return "active" if token.user.is_active else "account disabled"

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        created, request.new_secret = services.create_token(  # type: ignore[attr-defined]
            obj.user,
            actor=request.user.get_username(),
            label=obj.label,
            worker_id=obj.worker_id,
            expires_at=obj.expires_at,
        )
        obj.__dict__.update(created.__dict__)

    def response_add(
        self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret in this response only: it is in no message, cookie or session."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"API token {obj.pk} for {isolated(str(obj.user))}",
            "opts": self.opts,
            "token": obj,
            "secret": request.new_secret,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/dispatch/token_created.html", context)
