"""The parts of an e-mail."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse


@dataclass(frozen=True)
class Content:
    subject: str
    text: str
    html: str


def link(name: str, *args: Any, **query: Any) -> str:
    """Return the whole address of a page of the console."""
    return f"{settings.PUBLIC_URL}{reverse(name, args=args, query=query)}"


def render(template: str, subject: str, context: dict[str, Any]) -> Content:
    """Write both forms, from mail/<template>.txt and mail/<template>.html."""
    shared = {**context, "subject": subject, "my_mail": link("my-mail")}
    return Content(
        subject,
        text=render_to_string(f"mail/{template}.txt", shared),
        html=render_to_string(f"mail/{template}.html", shared),
    )
