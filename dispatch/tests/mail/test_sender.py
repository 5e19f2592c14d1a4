"""Attempts and their outcomes, against a real mail server."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models.functions import Now

from dispatch import services
from dispatch.exceptions import Conflict, Refusal
from dispatch.mail import MailSender
from dispatch.models import MailMessage, MailState, MailSubscription, TaskEvent
from dispatch.services.mail_queue import BACK_OFF, MOST_TRIES, MailOutcome, claim_mail, record_mail

from ..support.concurrency import background
from ..support.mail_servers import ACCEPTED, mail_server

pytestmark = pytest.mark.django_db

FAILURE = MailOutcome(MailState.PENDING, "451 Later")


def problem():
    TaskEvent.objects.create(kind="problem", actor="api", task_id=7)


def make_due():
    MailMessage.objects.update(next_try_at=Now(), leased_until=None)


def states():
    return dict(MailMessage.objects.values_list("subscription__user__username", "state"))


def answers(*, to, answer):
    return lambda address: answer if address == to else ACCEPTED


# Contents


def test_e_mail_has_both_forms_and_the_headers_of_a_machine(subscribe, smtp):
    subscribe()
    problem()

    call_command("send_mail")

    [mail] = smtp.mails
    assert mail["Subject"] == "[Bay Wheels] Problem with task 7"
    assert (mail["To"], mail["From"]) == ("maria@example.org", "Dispatch <dispatch@example.org>")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"] == "<https://dispatch.example.org/admin/my-mail/>"
    assert mail["Message-ID"].startswith("<alerts.")
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert states() == {"maria": "sent"}


@pytest.mark.parametrize("name", ["Müller", "名前", "a" * 150])
def test_any_name_arrives(subscribe, smtp, name):
    subscription = subscribe(name, email="m@example.org")
    services.request_test_mail(subscription.user)

    MailSender().run()

    [mail] = smtp.mails
    assert name in mail.get_body(["plain"]).get_content()


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: x@example.org", "no address", "a@b, c@d"])
def test_broken_address_is_given_up_and_no_header_is_injected(subscribe, smtp, address):
    subscribe(email=address)
    subscribe("tom")
    problem()

    MailSender().run()

    assert smtp.readers == ["tom@example.org"]
    assert states() == {"maria": "dead", "tom": "sent"}


# Failures


def test_refused_recipient_is_given_up_and_blocks_no_other(subscribe, smtp):
    for name in ("anna", "maria", "tom"):
        subscribe(name)
    smtp.answer_rcpt = answers(to="anna@example.org", answer="550 No such\0 user")
    problem()

    call_command("send_mail")

    assert sorted(smtp.readers) == ["maria@example.org", "tom@example.org"]
    assert states() == {"anna": "dead", "maria": "sent", "tom": "sent"}
    assert MailMessage.objects.get(state="dead").last_answer.startswith("550 No such")


def test_recipient_who_is_refused_for_now_is_tried_again_later(subscribe, smtp):
    subscribe("anna")
    subscribe("maria")
    smtp.answer_rcpt = answers(to="anna@example.org", answer="450 Try later")
    problem()
    MailSender().run()
    assert states() == {"anna": "pending", "maria": "sent"}

    MailSender().run()
    assert smtp.readers == ["maria@example.org"]
    smtp.answer_rcpt = lambda _: ACCEPTED
    make_due()
    MailSender().run()

    assert states() == {"anna": "sent", "maria": "sent"}


@pytest.mark.parametrize(("answer", "state"), [("554 Spam", "dead"), ("451 Full", "pending")])
def test_refused_text_is_dead_or_tried_again_by_its_code(subscribe, smtp, answer, state):
    subscribe()
    smtp.answer_data = lambda _: answer
    problem()

    MailSender().run()

    assert states() == {"maria": state}


def test_server_that_gives_up_ends_the_round_and_costs_one_attempt(subscribe, smtp):
    for name in ("anna", "maria", "tom"):
        subscribe(name)
    smtp.answer_rcpt = lambda _: "421 Shutting down"
    problem()

    with pytest.raises(CommandError, match="421 Shutting down"):
        call_command("send_mail")

    assert sorted(MailMessage.objects.values_list("tries", flat=True)) == [0, 0, 1]
    assert set(states().values()) == {"pending"}


def test_server_that_is_down_costs_no_attempt(subscribe, set_up):
    subscribe()
    problem()

    with pytest.raises(Refusal, match="The mail server fails"):
        MailSender().run()

    message = MailMessage.objects.get()
    assert (message.state, message.tries) == ("pending", 0)


def test_server_is_not_asked_while_nothing_is_due(subscribe, set_up):
    subscribe()

    call_command("send_mail")


def test_message_dies_after_the_last_attempt(subscribe):
    subscribe()
    problem()
    services.bundle_alerts()
    for number in range(MOST_TRIES):
        message = claim_mail()
        assert message.tries == number + 1
        record_mail(message, FAILURE)
        make_due()

    message = MailMessage.objects.get()
    assert (message.state, message.last_answer) == ("dead", "451 Later")
    assert sum(BACK_OFF) > timedelta(hours=12).total_seconds()


# Several senders


def test_claimed_message_is_not_claimed_again(subscribe):
    subscribe()
    problem()
    services.bundle_alerts()

    assert claim_mail() is not None
    assert claim_mail() is None


@pytest.mark.django_db(transaction=True)
def test_two_senders_bundle_each_alert_once(subscribe):
    subscription = subscribe()
    problem()

    with background() as run, transaction.atomic():
        MailSubscription.objects.select_for_update().get(pk=subscription.pk)
        assert run(services.bundle_alerts).result(timeout=20) == 0

    assert services.bundle_alerts() == 1
    assert MailMessage.objects.get().alerts.count() == 1


@pytest.mark.django_db(transaction=True)
def test_message_that_another_sender_locks_is_passed_over(subscribe):
    subscribe()
    problem()
    services.bundle_alerts()

    with background() as run, transaction.atomic():
        MailMessage.objects.select_for_update().get()
        assert run(claim_mail).result(timeout=20) is None


def test_late_outcome_of_a_former_attempt_changes_nothing(subscribe):
    subscribe()
    problem()
    services.bundle_alerts()
    first = claim_mail()
    make_due()
    claim_mail()

    assert record_mail(first, MailOutcome(MailState.DEAD, "550")) is None
    assert MailMessage.objects.get().state == "pending"


# Repeats


def test_dead_message_is_sent_again_with_its_id(subscribe, smtp):
    subscribe()
    smtp.answer_data = lambda mail: seen.append(mail["Message-ID"]) or "554 No"
    seen = []
    problem()
    MailSender().run()
    dead = MailMessage.objects.get()

    services.repeat_mail(dead.pk)
    smtp.answer_data = lambda _: ACCEPTED
    MailSender().run()

    assert [mail["Message-ID"] for mail in smtp.mails] == seen
    with pytest.raises(Conflict):
        services.repeat_mail(dead.pk)


# The connection


def test_password_does_not_appear_in_the_error(subscribe, set_up, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "dispatch", "open-sesame"
    subscribe()
    problem()
    with mail_server() as server:
        settings.EMAIL_PORT = server.port
        with pytest.raises(Refusal) as refused:
            MailSender().run()

    assert "open-sesame" not in str(refused.value)


def test_untrusted_certificate_is_refused(subscribe, set_up, settings, certificate):
    settings.EMAIL_USE_TLS = True
    subscribe()
    problem()
    with mail_server(tls_context=certificate.context) as server:
        settings.EMAIL_PORT = server.port
        with pytest.raises(Refusal, match="certificate verify failed"):
            MailSender().run()

    assert server.mails == []


def test_trusted_server_gets_the_mail_over_tls(
    subscribe, set_up, settings, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    settings.EMAIL_USE_TLS = True
    settings.EMAIL_HOST = "localhost"
    subscribe()
    problem()
    with mail_server(tls_context=certificate.context, require_starttls=True) as server:
        settings.EMAIL_PORT = server.port
        MailSender().run()

    assert len(server.mails) == 1


# Set-up


def test_commands_refuse_to_run_without_a_mail_server(db, settings):
    settings.EMAIL_HOST = ""

    for command in ("send_mail", "daily_report"):
        with pytest.raises(CommandError, match="E-mail is not set up"):
            call_command(command)


def test_reader_has_at_most_one_pending_test(subscribe, smtp):
    user = subscribe(types=[]).user
    services.request_test_mail(user)
    with pytest.raises(Conflict):
        services.request_test_mail(user)

    MailSender().run()

    assert smtp.subjects == ["[Bay Wheels] Test"]
    services.request_test_mail(user)
