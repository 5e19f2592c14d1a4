"""Phones join a crew over HTTP, and sign out."""

import pytest

from dispatch import services
from dispatch.models import CrewDevice

from ..support.factories import CrewFactory

pytestmark = pytest.mark.django_db(transaction=True)

NONCE = "n" * 22
OWN_PAGE = {"X-Crew": "1", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def code(db):
    return services.create_code(CrewFactory(worker_id="van-3").pk, actor="maria")[1]


def post(client, path, body, **headers):
    return client.post(
        f"/crew/api/{path}", body, "application/json", headers={**OWN_PAGE, **headers}
    )


def join(client, code, nonce=NONCE, **headers):
    return post(client, "join", {"code": code, "nonce": nonce}, **headers)


def test_phone_joins_with_a_code(client, code):
    response = join(client, code)

    crew = {"worker_id": "van-3", "name": "van-3", "language": "en"}
    phone = CrewDevice.objects.get()
    assert response.json() == {"crew": crew, "device": {"id": phone.pk, "label": phone.label}}
    assert post(client, "signout", {}).json() == {}
    assert post(client, "signout", {}).json()["code"] == "signed_out"
