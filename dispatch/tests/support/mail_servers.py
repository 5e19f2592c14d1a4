"""A real SMTP server that keeps what it receives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from deploy.private import free_port

ACCEPTED = "250 OK"


@dataclass
class MailServer:
    """`answer_rcpt`: its answer to an address. `answer_data`: its answer to a whole e-mail, which
    it keeps only if it accepts it."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    answer_rcpt: Callable[[str], str] = lambda _: ACCEPTED
    answer_data: Callable[[EmailMessage], str] = lambda _: ACCEPTED

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    @property
    def readers(self) -> list[str]:
        return [str(mail["To"]) for mail in self.mails]

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:
        if (answer := self.answer_rcpt(address)) == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:
        mail: Any = message_from_bytes(envelope.content, policy=policy.default)
        if (answer := self.answer_data(mail)) == ACCEPTED:
            self.mails.append(mail)
        return answer


@contextmanager
def mail_server(**arguments: Any) -> Iterator[MailServer]:
    """`arguments`: of the Controller, such as `tls_context`."""
    # The controller connects to the port that it is given, so it must not be 0.
    server = MailServer(free_port())
    controller = Controller(server, hostname="127.0.0.1", port=server.port, **arguments)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
