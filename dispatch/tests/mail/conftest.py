import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dispatch.models import MailSubscription, WebhookType

from ..support.factories import UserFactory
from ..support.mail_servers import mail_server

BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def set_up(settings):
    """The settings of e-mail, with a mail server that does not exist."""
    settings.EMAIL_BACKEND = BACKEND
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = 1
    settings.EMAIL_USE_TLS = False
    settings.DEFAULT_FROM_EMAIL = "Dispatch <dispatch@example.org>"
    settings.PUBLIC_URL = "https://dispatch.example.org"
    settings.DAILY_REPORT_HOUR = 0


@pytest.fixture
def smtp(set_up, settings):
    with mail_server() as server:
        settings.EMAIL_PORT = server.port
        yield server


@pytest.fixture
def subscribe(db):
    """Make a subscriber: a superuser, unless the fields say otherwise."""

    def make(name="maria", types=WebhookType.values, daily_report=False, **fields):
        user = UserFactory(username=name, **{"email": f"{name}@example.org", **fields})
        return MailSubscription.objects.create(
            user=user, types=list(types), daily_report=daily_report
        )

    return make


@dataclass(frozen=True)
class Certificate:
    """For the name localhost, signed by no one else."""

    path: Path
    context: ssl.SSLContext


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing.")
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost"
    )
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(path)]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, key)
    return Certificate(path, context)
