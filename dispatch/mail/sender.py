"""Sends what is due, one e-mail after another over one connection to the mail server.

All errors of smtplib are OSErrors.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from smtplib import (
    SMTPDataError,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import Error as DatabaseError
from django.utils import timezone

from .. import services
from ..exceptions import Refusal
from ..models import MailMessage, MailState
from ..services import MailOutcome
from ..texts import printable
from ..webhooks.states import read_states
from .compose import NotForReader, compose

logger = logging.getLogger(__name__)

# Seconds. A round ends in time for the command to record its success.
ROUND = 60.0
SERVICE_NOT_AVAILABLE = 421


@dataclass
class MailSender:
    """`stopped` is called before each e-mail is claimed: once it is true, none is begun."""

    stopped: Callable[[], bool] = lambda: False
    sent: int = 0
    failed: int = 0

    def run(self) -> None:
        """Notice states, enqueue alerts and reports, and send what is due.

        Refusal: the mail server fails. The rest is sent later.
        """
        services.note_mail_states(read_states)
        services.bundle_alerts()
        enqueue_reports_when_due()
        if MailMessage.objects.due().exists():
            with mail_server() as server:
                self.send(server)

    def send(self, server: BaseEmailBackend) -> None:
        end = time.monotonic() + ROUND
        while not self.stopped() and time.monotonic() < end:
            message = services.claim_mail()
            if message is None:
                return
            trouble = self.attempt(server, message)
            if trouble is not None:
                raise trouble

    def attempt(self, server: BaseEmailBackend, message: MailMessage) -> OSError | None:
        """Return an error that is the mail server's, not the e-mail's."""
        outcome, trouble = deliver(server, message)
        state = services.record_mail(message, outcome)
        self.sent += state == MailState.SENT
        self.failed += state in (MailState.PENDING, MailState.DEAD)
        return trouble


def enqueue_reports_when_due() -> None:
    now = timezone.localtime(timezone.now(), timezone.get_default_timezone())
    if now.hour >= settings.DAILY_REPORT_HOUR:
        services.enqueue_daily_reports(now.date() - timedelta(days=1))


@contextmanager
def mail_server() -> Iterator[BaseEmailBackend]:
    """A connection that is open. Refusal: the mail server fails."""
    server = get_connection()
    try:
        server.open()
        yield server
    except OSError as error:
        raise Refusal(f"The mail server fails: {explain(error)}") from error
    finally:
        with suppress(OSError):
            server.close()


def deliver(server: BaseEmailBackend, message: MailMessage) -> tuple[MailOutcome, OSError | None]:
    try:
        mail = compose(message)
    except NotForReader as reason:
        return MailOutcome(MailState.DROPPED, str(reason)), None
    except Refusal as error:
        return MailOutcome(MailState.DEAD, str(error)), None
    except DatabaseError:
        raise
    except Exception:
        # It must not keep the others from being sent.
        logger.exception("E-mail %s cannot be written.", message.pk)
        return MailOutcome(MailState.PENDING, "It cannot be written. The log says why."), None
    try:
        server.send_messages([mail])
    except OSError as error:
        state = MailState.DEAD if is_final(error) else MailState.PENDING
        return MailOutcome(state, explain(error)), error if is_of_server(error) else None
    except ValueError as error:
        # Django cannot encode the address.
        return MailOutcome(MailState.DEAD, str(error)), None
    return MailOutcome(MailState.SENT, ""), None


def code_of(error: OSError) -> int:
    """0: the mail server did not answer."""
    if isinstance(error, SMTPRecipientsRefused):
        return next(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, SMTPResponseException) else 0


def is_final(error: OSError) -> bool:
    """True if the server refuses this recipient or this text for good (RFC 5321, 5yz)."""
    about_e_mail = isinstance(error, SMTPRecipientsRefused | SMTPDataError)
    return about_e_mail and 500 <= code_of(error) < 600


def is_of_server(error: OSError) -> bool:
    """True if the next e-mail would fail as well."""
    about_e_mail = isinstance(error, SMTPRecipientsRefused | SMTPDataError)
    return not about_e_mail or code_of(error) == SERVICE_NOT_AVAILABLE


def explain(error: OSError) -> str:
    """Return the mail server's answer, or the error in words."""
    if isinstance(error, SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        return answer_of(code, answer)
    if isinstance(error, SMTPResponseException):
        return answer_of(error.smtp_code, error.smtp_error)
    return printable(f"{type(error).__name__}: {error}", " ")


def answer_of(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return printable(f"{code} {text}", " ")
