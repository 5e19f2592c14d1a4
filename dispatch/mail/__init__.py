"""Writes e-mails, and sends them through an SMTP server."""

from .compose import compose_report
from .sender import MailSender

__all__ = ["MailSender", "compose_report"]
