"""The page on which users choose their e-mails, and the lists that superusers see."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from dispatch.models import MailAlert, MailMessage, MailSubscription, User

from ..support.factories import UserFactory

pytestmark = pytest.mark.django_db

PAGE = reverse("my-mail")


@pytest.fixture(autouse=True)
def set_up(settings):
    settings.EMAIL_HOST = "mail.example.org"


@pytest.fixture
def maria(dispatcher):
    User.objects.update(email="maria@example.org")
    return dispatcher


def text_of(client):
    return client.get(PAGE).content.decode()


def test_choice_is_saved_and_shown(maria):
    maria.post(PAGE, {"types": ["task.overdue", "feed.failing"], "daily_report": "on"})

    subscription = MailSubscription.objects.get()
    assert (subscription.types, subscription.daily_report) == (
        ["feed.failing", "task.overdue"],
        True,
    )
    assert text_of(maria).count(" checked") == 3


def test_new_choice_replaces_the_former_and_keeps_the_pause(maria):
    maria.post(PAGE, {"types": ["task.overdue"]})
    MailSubscription.objects.update(next_alerts_at="2030-01-01T00:00Z")

    maria.post(PAGE, {})

    subscription = MailSubscription.objects.get()
    assert (subscription.types, subscription.daily_report) == ([], False)
    assert subscription.next_alerts_at.year == 2030


def test_page_offers_only_what_the_user_may_see(client):
    user = UserFactory(is_superuser=False)
    user.user_permissions.add(Permission.objects.get(codename="view_station"))
    client.force_login(user)

    shown = text_of(client)

    assert "A station feed fails" in shown
    assert "A task is overdue" not in shown
    assert "daily_report" not in shown
    client.post(PAGE, {"types": ["task.overdue"], "daily_report": "on"})
    assert not MailSubscription.objects.exists()


def test_choice_of_another_user_is_not_changed(maria):
    tom = MailSubscription.objects.create(user=UserFactory(), types=["task.problem"])

    maria.post(PAGE, {"types": ["task.overdue"]})

    tom.refresh_from_db()
    assert tom.types == ["task.problem"]


def test_page_says_that_e_mail_is_not_set_up(maria, settings):
    settings.EMAIL_HOST = ""

    assert "E-mail is not set up" in text_of(maria)
    assert "send a test" not in text_of(maria)
    maria.post(PAGE, {"test": "1"})
    assert not MailMessage.objects.exists()


def test_page_says_that_the_account_has_no_address(dispatcher):
    assert "no e-mail address" in text_of(dispatcher)


def test_test_is_enqueued(maria):
    response = maria.post(PAGE, {"test": "1"}, follow=True)

    assert "A test is on its way." in response.content.decode()
    assert MailMessage.objects.get().kind == "test"


def test_account_menu_leads_to_the_page(maria):
    assert f'href="{PAGE}"' in maria.get("/admin/lists/").content.decode()


def test_strangers_have_no_such_page(client):
    assert client.get(PAGE).status_code == 302


# The lists


@pytest.fixture
def dead(maria):
    subscription = MailSubscription.objects.create(
        user=User.objects.get(), types=["task.overdue"], daily_report=True
    )
    message = MailMessage.objects.create(
        subscription=subscription,
        kind="alerts",
        state="dead",
        finished_at="2030-01-01T00:00Z",
        last_answer="550 No such user",
    )
    MailAlert.objects.create(
        subscription=subscription, event_id="1", type="task.overdue", data={}, message=message
    )
    return message


def test_superuser_sees_all_subscriptions_and_failures(maria, dead):
    lists = "/admin/dispatch/mail{}/"
    subscriptions = maria.get(lists.format("subscription")).content.decode()
    messages = maria.get(lists.format("message") + "?state__exact=dead").content.decode()
    page = maria.get(f"{lists.format('message')}{dead.pk}/change/").content.decode()

    assert "maria@example.org" in subscriptions
    assert "550 No such user" in messages
    assert "task.overdue" in page


def test_dead_e_mail_is_sent_again(maria, dead):
    response = maria.post(reverse("admin:mailmessage_repeat", args=[dead.pk]), {"confirmed": "1"})

    assert response.status_code == 302
    dead.refresh_from_db()
    assert (dead.state, dead.tries, dead.finished_at) == ("pending", 0, None)


def test_others_may_neither_see_nor_repeat_e_mails(client, dead):
    client.force_login(UserFactory(is_superuser=False))

    url = reverse("admin:mailmessage_repeat", args=[dead.pk])

    assert client.post(url, {"confirmed": "1"}).status_code == 403
    assert client.get("/admin/dispatch/mailmessage/").status_code == 403
