import io
from typing import Any

import segno
from django.core.management.base import CommandError, CommandParser

from ... import services
from ...models import Crew
from ...models.phones import CODE_LIFE
from ..base import DispatchCommand

ACTOR = "enrol_crew"
MINUTES = int(CODE_LIFE.total_seconds() / 60)


class Command(DispatchCommand):
    help = (
        "Prints a code with which one phone joins a crew; with --url also the link and a QR code."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("worker_id", help="the crew on the roster")
        parser.add_argument("--url", help="the service's address, such as https://dispatch.example")

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"]
        if url and not url.startswith(("https://", "http://")):
            raise CommandError("--url must begin with https:// or http://.")
        crew = Crew.objects.filter(worker_id=options["worker_id"]).first()
        if crew is None:
            raise CommandError(f"Crew {options['worker_id']} is not on the roster.")
        _, code = services.create_code(crew.pk, actor=ACTOR)
        lines = [f"Code: {code} (for one phone, within {MINUTES} minutes)"]
        if url:
            link = services.enrolment_link(url, code)
            lines += [f"Link: {link}", qr_code(link)]
        self.report("\n".join(lines))


def qr_code(link: str) -> str:
    """Draw a QR code with half blocks, light on dark as in most terminals."""
    drawing = io.StringIO()
    segno.make(link, error="l", micro=False).terminal(drawing, border=2, compact=True)
    return drawing.getvalue()
