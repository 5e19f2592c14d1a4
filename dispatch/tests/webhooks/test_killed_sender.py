"""A real sender, killed while its request is under way."""

import pytest
from django.db.models.functions import Now

from dispatch.models import TaskEvent, WebhookDelivery
from dispatch.webhooks import Sender

from ..support.receivers import answering, respond
from ..support.server import running_command

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_delivery_of_a_killed_sender_arrives_twice_with_one_id(endpoint, receiver, monkeypatch):
    monkeypatch.setenv("WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8")
    TaskEvent.objects.create(kind="problem", actor="api")

    def kill_and_respond(handler):
        sender.kill()
        sender.wait()
        respond(handler, 204)

    receiver.answer = kill_and_respond
    with running_command("send_webhooks", "--every", "5") as sender:
        sender.wait(timeout=60)
    assert WebhookDelivery.objects.get().state == "pending"
    receiver.answer = answering(204)
    Sender().run()
    assert len(receiver.ids) == 1

    WebhookDelivery.objects.update(leased_until=Now())
    Sender().run()

    assert receiver.ids == [WebhookDelivery.objects.get().event_id] * 2
    assert WebhookDelivery.objects.get().state == "sent"
