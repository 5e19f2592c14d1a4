"""A real sender, killed after the mail server has the e-mail and before that is recorded."""

import pytest
from django.db.models.functions import Now

from dispatch.mail import MailSender
from dispatch.models import MailMessage, TaskEvent

from ..support.mail_servers import ACCEPTED
from ..support.server import running_command

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_e_mail_of_a_killed_sender_is_sent_twice_with_one_id(subscribe, smtp, monkeypatch):
    for name, value in {
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(smtp.port),
        "EMAIL_USE_TLS": "false",
        "DEFAULT_FROM_EMAIL": "dispatch@example.org",
        "PUBLIC_URL": "https://dispatch.example.org",
        "DAILY_REPORT_HOUR": "23",
    }.items():
        monkeypatch.setenv(name, value)
    subscribe()
    TaskEvent.objects.create(kind="problem", actor="api", task_id=7)

    def kill_and_accept(_):
        sender.kill()
        sender.wait()
        return ACCEPTED

    smtp.answer_data = kill_and_accept
    with running_command("send_mail", "--every", "5") as sender:
        sender.wait(timeout=60)
    assert MailMessage.objects.get().state == "pending"
    smtp.answer_data = lambda _: ACCEPTED
    MailSender().run()
    assert len(smtp.mails) == 1

    MailMessage.objects.update(leased_until=Now())
    MailSender().run()

    assert len(smtp.mails) == 2
    assert len({mail["Message-ID"] for mail in smtp.mails}) == 1
    assert MailMessage.objects.get().state == "sent"
