"""A real browser that talks to a real gunicorn."""

import os
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.test import Client
from playwright.sync_api import sync_playwright

from .server import PLAIN_HOST

ARGUMENTS = [
    f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium")
    if program is None:
        refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        refuse("Chromium is not installed (`apt-get install chromium`): browser tests did not run.")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright runs an event loop in this thread, which Django mistakes for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A page whose console errors, dialogs and foreign requests are collected in `complaints`."""

    def __init__(self, context, url):
        self.page = context.new_page()
        self.url = url
        self.complaints = []
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.complain("error", error))
        self.page.on("dialog", self.on_dialog)
        self.page.on("request", self.on_request)

    def complain(self, *what):
        self.complaints.append((self.page.url.removeprefix(self.url), *map(str, what)))

    def on_console(self, message):
        if message.type in ("error", "warning"):
            self.complain(message.type, message.text)

    def on_dialog(self, dialog):
        self.complain("dialog", dialog.message)
        dialog.dismiss()

    def on_request(self, request):
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and not request.url.startswith(self.url):
            self.complain("request", request.url)

    def open(self, path):
        self.page.goto(self.url + path)

    def press(self, selector):
        with self.page.expect_navigation():
            self.page.locator(selector).first.click()

    def messages(self):
        return self.page.locator(".messagelist li").all_inner_texts()


@pytest.fixture
def browse(chromium, server):
    """Open a tab, signed in as a user if one is given."""

    @contextmanager
    def tab(user=None, **options):
        with chromium.new_context(**options) as context:
            if user is not None:
                client = Client()
                client.force_login(user)
                cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value}
                context.add_cookies([{**cookie, "url": server.url, "httpOnly": True}])
            yield Tab(context, server.url)

    return tab


def too_wide(page):
    """Pixels of horizontal overflow by viewport width, on a phone and a desktop."""
    pixels = {}
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if over > 0:
            pixels[width] = over
    return pixels
