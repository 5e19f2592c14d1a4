"""The shell and the manifests of the crews' page."""

import gzip

import pytest
from django.contrib.staticfiles import finders
from django.urls import set_script_prefix

from dispatch.crew import worker
from dispatch.models import Language

from ..support.factories import UserFactory

FIRST_LOAD_KB = 60


def test_shell_is_the_same_for_everyone(client, db):
    alone = client.get("/crew/")
    client.force_login(UserFactory())
    assert alone.status_code == 200
    for path in ("/crew/", "/crew/join", "/crew/?code=BCDF-GHJK"):
        other = client.get(path, headers={"Accept-Language": "es", "Cookie": "crew=x"})
        assert (other.status_code, other.content) == (200, alone.content)
        assert not other.cookies
        assert "Vary" not in other.headers


def test_shell_has_no_inline_script_or_style(client):
    response = client.get("/crew/")
    html = response.content.decode()
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["Permissions-Policy"] == "camera=(), geolocation=(), microphone=()"
    assert "<style" not in html
    assert " style=" not in html
    # The list of languages is data, which no browser runs.
    assert html.count("<script") == 2
    assert '<script id="languages" type="application/json">' in html


def test_address_without_slash_leads_to_the_page(client):
    response = client.get("/crew")
    assert (response.status_code, response.headers["Location"]) == (302, "/crew/")


@pytest.mark.parametrize("language", Language.values)
def test_page_can_be_installed(client, language):
    response = client.get(f"/crew/manifest-{language}.webmanifest")
    manifest = response.json()
    assert response.headers["Content-Type"] == "application/manifest+json"
    assert manifest["id"] == manifest["start_url"] == manifest["scope"] == "/crew/"
    assert manifest["display"] == "standalone"
    assert manifest["lang"] == language
    sizes = {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]}
    assert sizes == {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    for icon in manifest["icons"]:
        assert finders.find(icon["src"].removeprefix("/static/"))


def test_manifest_speaks_its_language(client):
    names = [
        client.get(f"/crew/manifest-{code}.webmanifest").json()["name"] for code in ("en", "es")
    ]
    assert names == ["Bay Wheels crew", "Cuadrilla de Bay Wheels"]


def test_page_below_a_path_of_the_host(client):
    set_script_prefix("/bikes/")
    try:
        manifest = client.get("/crew/manifest-en.webmanifest", SCRIPT_NAME="/bikes").json()
        html = client.get("/crew/", SCRIPT_NAME="/bikes").content.decode()
    finally:
        set_script_prefix("/")
    assert manifest["scope"] == "/bikes/crew/"
    assert 'href="/bikes/crew/manifest-en.webmanifest"' in html


def test_first_load_is_small():
    sizes = {address: len(gzip.compress(body)) for address, body in worker.contents().items()}
    assert sum(sizes.values()) < FIRST_LOAD_KB * 1024, sizes
