"""The console's pages of webhook endpoints and deliveries."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from dispatch import services
from dispatch.models import EventKind, TaskEvent, WebhookDelivery, WebhookEndpoint

pytestmark = pytest.mark.django_db(transaction=True)

URL = "https://example.org/hooks"
ADD = reverse("admin:dispatch_webhookendpoint_add")
CONFIRMED = {"confirmed": "1"}


@pytest.fixture
def endpoint():
    return services.create_endpoint(URL, actor="root", description="chat")


@pytest.fixture
def delivery(endpoint):
    TaskEvent.objects.create(kind=EventKind.PROBLEM, actor="api")
    WebhookDelivery.objects.update(state="dead", finished_at=Now(), last_status=500)
    return WebhookDelivery.objects.get()


def action(row, name):
    return reverse(f"admin:{row._meta.model_name}_{name}", args=[row.pk])


def page(row):
    return reverse(f"admin:dispatch_{row._meta.model_name}_change", args=[row.pk])


def logged():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]


def test_secret_of_a_new_endpoint_is_shown_once(dispatcher):
    response = dispatcher.post(ADD, {"url": URL, "description": "chat", "types": ["task.overdue"]})

    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.url, endpoint.types, endpoint.created_by) == (URL, ["task.overdue"], "maria")
    assert endpoint.secret.startswith("whsec_")
    assert response.content.decode().count(endpoint.secret) == 1
    assert not list(get_messages(response.wsgi_request))
    lists = reverse("admin:dispatch_webhookendpoint_changelist")
    for url in (page(endpoint), lists):
        assert endpoint.secret not in dispatcher.get(url).content.decode()
    assert endpoint.secret not in "".join(logged())


def test_address_that_is_not_allowed_is_refused_in_the_form(dispatcher):
    response = dispatcher.post(ADD, {"url": "http://example.org/"})

    assert "must begin with https://" in response.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_change_of_an_endpoint_keeps_what_the_sender_wrote(dispatcher, endpoint):
    WebhookEndpoint.objects.update(succeeded=5)

    dispatcher.post(page(endpoint), {"url": URL, "description": "pager", "types": []})

    changed = WebhookEndpoint.objects.get()
    assert (changed.description, changed.succeeded, changed.secret) == ("pager", 5, endpoint.secret)


def test_new_secret_is_shown_once_after_a_confirmation(dispatcher, endpoint):
    asked = dispatcher.post(action(endpoint, "rotate"))
    assert "Rotate the secret?" in asked.content.decode()
    assert WebhookEndpoint.objects.get().secret == endpoint.secret

    response = dispatcher.post(action(endpoint, "rotate"), CONFIRMED)

    rotated = WebhookEndpoint.objects.get()
    assert rotated.secret in response.content.decode()
    assert rotated.former_secret == endpoint.secret
    assert logged() == ["Rotated the secret."]


def test_endpoint_is_disabled_and_enabled(dispatcher, endpoint):
    dispatcher.post(action(endpoint, "disable"), CONFIRMED)
    disabled = WebhookEndpoint.objects.get()
    shown = dispatcher.get(page(endpoint)).content.decode()
    dispatcher.post(action(endpoint, "enable"), CONFIRMED)

    assert (disabled.state, disabled.disabled_why) == ("disabled", "Disabled by maria.")
    assert "Disabled by maria." in shown
    assert WebhookEndpoint.objects.get().state == "enabled"
    assert logged() == ["Disabled.", "Enabled."]


def test_test_button_enqueues_a_ping(dispatcher, endpoint):
    dispatcher.post(action(endpoint, "ping"), CONFIRMED)

    assert WebhookDelivery.objects.get().type == "ping"


def test_delivery_is_shown_with_its_answer_and_repeated(dispatcher, endpoint, delivery):
    assert "problem" in dispatcher.get(page(delivery)).content.decode()

    dispatcher.post(action(delivery, "repeat"), CONFIRMED)

    assert WebhookDelivery.objects.get().state == "pending"
    assert logged() == ["Repeated."]


def test_failed_deliveries_since_a_time_are_repeated(dispatcher, endpoint, delivery):
    url = action(endpoint, "repeat_failed")
    missing = dispatcher.post(url, CONFIRMED)
    later = timezone.localtime() + timedelta(hours=1)
    dispatcher.post(url, {**CONFIRMED, "since": f"{later:%Y-%m-%d %H:%M}"})
    assert "This field is required." in missing.content.decode()
    assert WebhookDelivery.objects.get().state == "dead"

    dispatcher.post(url, {**CONFIRMED, "since": f"{later - timedelta(days=1):%Y-%m-%d %H:%M}"})

    assert WebhookDelivery.objects.get().state == "pending"
    assert logged()[-1] == "Repeated 1 delivery."


def test_refusal_is_shown_and_not_logged(dispatcher, endpoint, delivery):
    services.disable_endpoint(endpoint.pk, actor="root")

    response = dispatcher.post(action(delivery, "repeat"), CONFIRMED, follow=True)

    assert "is disabled. Enable it first." in response.content.decode()
    assert logged() == []


def test_list_counts_deliveries_and_leads_to_them(dispatcher, endpoint, delivery):
    lists = reverse("admin:dispatch_webhookendpoint_changelist")
    dead = reverse("admin:dispatch_webhookdelivery_changelist")
    link = f"{dead}?state__exact=dead&amp;endpoint__id__exact={endpoint.pk}"

    assert f'<a href="{link}">1 dead</a>' in dispatcher.get(lists).content.decode()
    assert delivery.event_id in dispatcher.get(page(delivery)).content.decode()
    assert "1 webhook delivery" in dispatcher.get(link.replace("&amp;", "&")).content.decode()


def test_viewer_sees_pages_but_no_button_and_may_not_act(viewer, endpoint, delivery):
    assert action(endpoint, "rotate") not in viewer.get(page(endpoint)).content.decode()

    for row, name in ((endpoint, "rotate"), (endpoint, "ping"), (delivery, "repeat")):
        assert viewer.post(action(row, name), CONFIRMED).status_code == 403
    assert WebhookEndpoint.objects.get().secret == endpoint.secret


def test_page_to_confirm_needs_post(dispatcher, endpoint):
    response = dispatcher.get(action(endpoint, "rotate"), CONFIRMED)

    assert (response.status_code, response.url) == (302, page(endpoint))


def test_row_that_is_gone_leads_to_the_list(dispatcher, endpoint):
    url = action(endpoint, "ping").replace(f"/{endpoint.pk}/", "/999999/")

    assert dispatcher.post(url, CONFIRMED).url == reverse(
        "admin:dispatch_webhookendpoint_changelist"
    )
