"""Writes one e-mail for its reader: only what the reader may see at this moment."""

from datetime import date
from email.utils import make_msgid, parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

from .. import services
from ..exceptions import Refusal
from ..models import MailKind, MailMessage
from ..texts import printable
from .alerts import alerts_content
from .content import Content, link, render
from .report import report_content

SUBJECT_LENGTH = 100


class NotForReader(Exception):
    """The account is not active, or may no longer see what the e-mail says."""


def compose(message: MailMessage) -> EmailMultiAlternatives:
    """NotForReader: nothing is left to say. Refusal: the address is not one."""
    content = content_of(message)
    number = int(message.created_at.timestamp() * 1_000_000)
    mail = e_mail(content, message.subscription.user.email)
    # The same for each attempt: a reader's program can recognise a repeat.
    mail.extra_headers["Message-ID"] = f"<{message.kind}.{message.pk}.{number}@{sending_domain()}>"
    return mail


def compose_report(day: date, address: str) -> EmailMultiAlternatives:
    """Refusal: the address is not one."""
    mail = e_mail(report_content(day), address)
    mail.extra_headers["Message-ID"] = make_msgid(domain=sending_domain())
    return mail


def sending_domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2]


def content_of(message: MailMessage) -> Content:
    user, wanted = message.subscription.user, message.subscription
    types = services.alert_types_for(user)
    match message.kind:
        case MailKind.ALERTS if alerts := message.alerts.filter(
            type__in={*types} & {*wanted.types}
        ).order_by("at", "id"):
            return alerts_content(list(alerts))
        case MailKind.REPORT if message.day and services.may_get_report(user):
            return report_content(message.day)
        case MailKind.TEST if user.is_active and user.is_staff:
            return render("test", "Test", {"name": printable(user.get_username())})
    raise NotForReader("The account may no longer see it, or no longer wants it.")


def e_mail(content: Content, address: str) -> EmailMultiAlternatives:
    try:
        validate_email(address)
    except ValidationError:
        raise Refusal(f"{printable(address)[:100]!r} is not an e-mail address.") from None
    subject = printable(f"{settings.EMAIL_SUBJECT_PREFIX}{content.subject}", " ")
    mail = EmailMultiAlternatives(
        subject[:SUBJECT_LENGTH],
        content.text,
        to=[address],
        headers={
            # Absence messages are not sent in answer to it (RFC 3834; Exchange has its own header).
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "List-Unsubscribe": f"<{link('my-mail')}>",
        },
    )
    mail.attach_alternative(content.html, "text/html")
    return mail
