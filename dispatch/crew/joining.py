"""A phone joins a crew with a code, and signs out."""

import re
from typing import Any

from axes.helpers import get_client_ip_address
from django.core.validators import RegexValidator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from .. import services
from ..api.fields import StrictCharField
from ..api.serializers.requests import valid
from ..models import Crew
from .cookie import CrewView, delete_cookie, secret_in, set_cookie

KINDS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android phone",
    "Windows": "Windows computer",
    "Mac OS": "Mac",
    "Linux": "Linux computer",
}
# The first that matches: most browsers name others too.
BROWSERS = {
    r"Edg(?:A|iOS)?/": "Edge",
    r"SamsungBrowser/": "Samsung Internet",
    r"(?:Firefox|FxiOS)/": "Firefox",
    r"(?:Chrome|CriOS)/": "Chrome",
    r"Version/\S+ .*Safari/": "Safari",
}


class CodeSerializer(serializers.Serializer[Any]):
    code = StrictCharField(max_length=40)


class JoinSerializer(CodeSerializer):
    # A guessable nonce would let another phone repeat the request.
    nonce = StrictCharField(validators=[RegexValidator(r"\A[A-Za-z0-9_-]{16,64}\Z")])


class CodeView(CrewView):
    """The crew of a code, for the question before joining."""

    authentication_classes: Any = []

    def post(self, request: Request) -> Response:
        data = valid(CodeSerializer, request.data)
        code = services.find_code(data["code"], address=address_of(request))
        return Response({"crew": described(code.crew)})


class JoinView(CrewView):
    authentication_classes: Any = []

    def post(self, request: Request) -> Response:
        data = valid(JoinSerializer, request.data)
        device, secret = services.join(
            data["code"],
            data["nonce"],
            label=label_of(request.headers.get("User-Agent", "")),
            address=address_of(request),
            former_secret=secret_in(request),
        )
        phone = {"id": device.pk, "label": device.label}
        response = Response({"crew": described(device.crew), "device": phone})
        set_cookie(response, secret)
        return response


class SignOutView(CrewView):
    def post(self, request: Request) -> Response:
        device: Any = request.auth
        services.revoke_device(device.pk, actor=device.crew.actor)
        response = Response({})
        delete_cookie(response)
        return response


def described(crew: Crew) -> dict[str, str]:
    return {"worker_id": crew.worker_id, "name": str(crew), "language": crew.language}


def address_of(request: Request) -> str:
    address: str = get_client_ip_address(request)
    return address


def label_of(user_agent: str) -> str:
    """Return the kind of phone and the browser, such as "iPhone, Safari"."""
    kind = next((kind for mark, kind in KINDS.items() if mark in user_agent), "Unknown device")
    browser = next((name for mark, name in BROWSERS.items() if re.search(mark, user_agent)), None)
    return f"{kind}, {browser}" if browser else kind
