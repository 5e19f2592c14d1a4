"""The service at /bikes/ of a shared host: a real gunicorn behind a real nginx, in a browser."""

from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client

from deploy import private
from dispatch import services
from dispatch.models import Task

from ..support.browser import Tab
from ..support.factories import CrewFactory, SuggestionFactory, UserFactory
from ..support.server import serve
from ..support.upstreams import need

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


REFRESH = """async () => {
    const { url, status } = await fetch(document.querySelector("[data-state]").dataset.state);
    return [url, status];
}"""


@contextmanager
def below_bikes():
    """Yield the address of the service at nginx, and its own."""
    need("nginx")
    with (
        serve(BASE_PATH="/bikes", BEHIND_PROXY="true") as server,
        private.nginx([urlsplit(server.url).port] * 2) as url,
    ):
        yield f"{url}/bikes", server.url


def test_api_below_a_path_names_its_own_addresses():
    SuggestionFactory.create_batch(2)
    with below_bikes() as (url, direct):
        page = requests.get(f"{url}/suggestions?limit=1", timeout=10)
        rest = requests.get(page.links["next"]["url"], timeout=10)
        slash = requests.get(f"{url}/suggestions/?limit=1", timeout=10, allow_redirects=False)
        schema = requests.get(f"{url}/openapi.json", timeout=10).json()
        root = requests.get(url, timeout=10)
        without_prefix = requests.get(f"{direct}/suggestions", timeout=10)

    assert page.links["next"]["url"].startswith(f"{url}/suggestions?")
    assert rest.status_code == root.status_code == 200
    assert slash.headers["Location"] == "/bikes/suggestions?limit=1"
    assert schema["servers"] == [{"url": "/bikes"}]
    assert "/suggestions" in schema["paths"]
    # Some proxies remove the path themselves.
    assert len(without_prefix.json()) == 2


def test_phone_joins_below_a_path():
    _, code = services.create_code(CrewFactory().pk, actor="maria")
    with below_bikes() as (url, _), requests.Session() as phone:
        phone.headers.update({"X-Crew": "1", "Origin": url.removesuffix("/bikes")})
        joined = phone.post(
            f"{url}/crew/api/join", json={"code": code, "nonce": "n" * 22}, timeout=10
        )
        (cookie,) = phone.cookies
        state = phone.get(f"{url}/crew/api/state", timeout=10)

    assert cookie.path == "/bikes/crew/"
    assert joined.status_code == state.status_code == 200


def test_console_works_below_a_path(chromium):
    maria = UserFactory(username="maria")
    SuggestionFactory()
    client = Client()
    client.force_login(maria)
    session = client.cookies["sessionid"].value

    with below_bikes() as (url, _), chromium.new_context() as context:
        signed_out = Tab(context, url)
        signed_out.open("/admin/board/")
        assert signed_out.page.url.startswith(f"{url}/admin/login/?next=/bikes/admin/board/")
        context.add_cookies([{"name": "sessionid", "value": session, "url": f"{url}/"}])
        tab = Tab(context, url)
        for path in ("/admin", "/admin/lists/", "/admin/kpi/", "/docs", "/redoc", "/admin/board/"):
            tab.open(path)
            assert tab.page.url.startswith(url), path
        refreshed = tab.page.evaluate(REFRESH)
        tab.open("/admin/dispatch/suggestion/")
        tab.press("button.row-action.approve")
        assert tab.page.url.startswith(f"{url}/admin/")

    assert refreshed == [f"{url}/admin/board/state.json", 200]
    assert Task.objects.exists()
    assert [each for each in signed_out.complaints + tab.complaints if each[1] != "warning"] == []
