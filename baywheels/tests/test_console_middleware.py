"""Sessions, their users and messages are the console's alone."""

import pytest

pytestmark = pytest.mark.django_db

ATTRIBUTES = ("session", "_messages")


def known_to(request):
    return [name for name in ATTRIBUTES if hasattr(request, name)]


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/nothing/"])
def test_the_console_has_them(client, path):
    assert known_to(client.get(path).wsgi_request) == list(ATTRIBUTES)


@pytest.mark.parametrize("path", ["/tasks", "/healthz", "/docs", "/nothing"])
def test_nothing_else_has_them(client, path):
    assert known_to(client.get(path).wsgi_request) == []
