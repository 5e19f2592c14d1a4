"""Pages of another origin in a real browser, with `API_AUTH=open`."""

import pytest

from deploy.private import free_port
from dispatch.models import Suggestion, Task

from ..support.factories import SuggestionFactory
from ..support.server import PLAIN_HOST, serve
from ..support.upstreams import upstream

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGE = b"<!doctype html><title>Another origin</title>"
FORM = """([url, id]) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = url + "/task/approve";
    form.innerHTML = `<input name="suggestion_id" value="${id}">`;
    document.body.append(form);
    form.submit();
}"""
LOOP = """async ([url, id]) => {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": "k-1" };
    const list = await (await fetch(url + "/suggestions")).json();
    const body = JSON.stringify({ suggestion_id: id });
    const approved = await fetch(url + "/task/approve", { method: "POST", headers, body });
    const missing = await fetch(url + "/task/approve", { method: "POST", headers, body });
    return [list.length, approved.status, missing.status, missing.headers.get("X-Request-ID")];
}"""


@pytest.fixture
def dashboard(chromium):
    """A page of another port of this host, and its origin."""
    with upstream(PAGE) as server, chromium.new_context() as context:
        origin = f"http://localhost:{server.server_port}"
        page = context.new_page()
        page.goto(origin)
        yield page, origin


@pytest.mark.parametrize(
    ("host", "fetch_site"), [("localhost", "same-site"), (PLAIN_HOST, None)], ids=str
)
def test_form_of_another_origin_changes_nothing(dashboard, server, host, fetch_site):
    page, _ = dashboard
    address = server.url.replace("127.0.0.1", host)

    with page.expect_request("**/task/approve") as sent, page.expect_navigation():
        page.evaluate(FORM, [address, SuggestionFactory().id])

    assert sent.value.all_headers().get("sec-fetch-site") == fetch_site
    assert "A page of another origin sent this request." in page.content()
    assert not Task.objects.exists()


def test_unlisted_page_cannot_read(dashboard, server):
    page, _ = dashboard

    outcome = page.evaluate(f"fetch('{server.url}/suggestions').catch(error => String(error))")

    assert outcome == "TypeError: Failed to fetch"


def test_listed_page_reads_and_writes(dashboard):
    page, origin = dashboard
    suggestion = SuggestionFactory()

    with serve(port=free_port(), CORS_ALLOWED_ORIGINS=origin) as server:
        seen = page.evaluate(LOOP, [server.url, suggestion.id])

    assert seen[:3] == [1, 200, 404]
    assert len(seen[3]) == 32
    assert not Suggestion.objects.exists()
