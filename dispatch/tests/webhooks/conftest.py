import pytest

from dispatch import services

from ..support.receivers import LOOPBACK, receive


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_ALLOW_NETWORKS = LOOPBACK
    with receive() as receiver:
        yield receiver


@pytest.fixture
def endpoint(db, receiver):
    """An endpoint for all types, with the receiver's address."""
    return services.create_endpoint(receiver.url, actor="root", description="chat")
