"""The page on which each user chooses their e-mails."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from .. import services
from ..exceptions import Refusal
from ..models import MailSubscription, WebhookType

LABELS: dict[str, str] = {
    WebhookType.TASK_OVERDUE: "A task is overdue",
    WebhookType.TASK_RELEASED: "A lease ended: its task is ready again",
    WebhookType.TASK_LATE_REPORT: "A former crew reports a completion",
    WebhookType.TASK_PROBLEM: "A crew reports a problem",
    WebhookType.TASK_COMPLETED: "A task is completed",
    WebhookType.TASK_WITHOUT_CREW: "No crew can take a task",
    WebhookType.SUGGESTION_APPROVED: "A suggestion is approved",
    WebhookType.SUGGESTION_REJECTED: "A suggestion is rejected",
    WebhookType.SUGGESTION_URGENT: "A suggestion is urgent",
    WebhookType.FEED_FAILING: "A station feed fails",
    WebhookType.FEED_RECOVERED: "A station feed works again",
    WebhookType.CLUSTER_STARTED: "All stations of a cluster are empty or full",
    WebhookType.CLUSTER_ENDED: "The outage of a cluster ended",
}


class MyMailForm(forms.Form):
    types = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    daily_report = forms.BooleanField(required=False)

    def __init__(self, data: Any = None, *, user: Any, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        types: Any = self.fields["types"]
        types.choices = [(each, LABELS[each]) for each in services.alert_types_for(user)]
        if not types.choices:
            del self.fields["types"]
        if not services.may_get_report(user):
            del self.fields["daily_report"]


@require_http_methods(["GET", "HEAD", "POST"])
def my_mail_page(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    own = MailSubscription.objects.filter(user=user).values("types", "daily_report").first()
    form = MyMailForm(request.POST if request.method == "POST" else None, user=user, initial=own)
    if request.method == "POST" and form.is_valid():
        save(request, form.cleaned_data)
        return redirect("my-mail")
    context = {
        **admin.site.each_context(request),
        "title": "My e-mails",
        "form": form,
        "is_set_up": bool(settings.EMAIL_HOST),
        "alert_minutes": settings.MAIL_ALERT_MINUTES,
        "report_hour": f"{settings.DAILY_REPORT_HOUR:02}:00",
    }
    return TemplateResponse(request, "admin/dispatch/my_mail.html", context)


def save(request: HttpRequest, choice: dict[str, Any]) -> None:
    try:
        services.subscribe_to_mail(
            request.user,
            types=choice.get("types", []),
            daily_report=choice.get("daily_report", False),
        )
        messages.success(request, "Saved.")
        if "test" in request.POST:
            services.request_test_mail(request.user)
            messages.success(request, "A test is on its way.")
    except Refusal as refusal:
        messages.error(request, str(refusal))
