"""The console's lists of e-mails and of those who get them. Superusers see them."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .. import services
from ..models import MailKind, MailMessage, MailState, MailSubscription
from .base import ReadOnlyAdmin
from .webhook_actions import RowAction
from .webhooks import ActionsAdmin

MAIL_ACTIONS = (
    RowAction(
        name="repeat",
        label="Send again",
        explains="The e-mail is sent again, with what its reader may see now.",
        run=lambda pk, _: services.repeat_mail(pk),
        done=lambda _: "It will be sent again.",
        possible=lambda message: message.state in (MailState.DEAD, MailState.DROPPED),
    ),
)


@admin.register(MailSubscription)
class MailSubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["user", "address", "alerts", "daily_report"]
    list_display_links = None
    list_select_related = ["user"]
    sortable_by = ()
    ordering = ["user__username"]
    show_full_result_count = False

    @admin.display(description="Address")
    def address(self, subscription: MailSubscription) -> str:
        user = subscription.user
        if not (user.is_active and user.is_staff):
            return "none: the account is not active"
        return user.email or "none: the account has no address"

    @admin.display(description="Alerts")
    def alerts(self, subscription: MailSubscription) -> str:
        return ", ".join(subscription.types)


@admin.register(MailMessage)
class MailMessageAdmin(ActionsAdmin, ReadOnlyAdmin):
    LOOKUPS = {
        "state__exact": "|".join(MailState.values),
        "kind__exact": "|".join(MailKind.values),
    }

    row_actions = MAIL_ACTIONS
    list_display = ["id", "created_at", "reader", "kind", "state", "tries", "last_answer"]
    list_filter = ["state", "kind"]
    list_select_related = ["subscription__user"]
    sortable_by = ("id",)
    ordering = ["-id"]
    show_full_result_count = False
    fields = [
        "reader",
        "kind",
        "day",
        "types",
        "state",
        "tries",
        "address",
        "last_answer",
        "created_at",
        "next_try_at",
        "finished_at",
    ]

    def may_act(self, request: HttpRequest) -> bool:
        return request.user.has_perms(["dispatch.view_mailmessage", "dispatch.change_mailmessage"])

    def get_queryset(self, request: HttpRequest) -> QuerySet[MailMessage]:
        messages: QuerySet[MailMessage] = super().get_queryset(request)
        return messages.select_related("subscription__user")

    @admin.display(description="Reader")
    def reader(self, message: MailMessage) -> str:
        return message.subscription.user.get_username()

    @admin.display(description="Alerts")
    def types(self, message: MailMessage) -> str:
        return ", ".join(message.alerts.order_by("id").values_list("type", flat=True)[:50])
