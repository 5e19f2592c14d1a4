"""The crews' page in a real browser, behind a network that a test can break."""

import json
import os
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Error

from dispatch import services
from dispatch.models import Crew, TaskEvent

from .bad_proxy import bad_network
from .browser import ARGUMENTS
from .factories import TaskFactory

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
ENGINE = "/static/dispatch/crew/engine.js"
MODEL = "/static/dispatch/crew/model.js"
REPORTS = "POST /crew/api/reports"
# That of a server without HTTPS_ONLY.
COOKIE = "crew"


class Phone:
    """An open crews' page. The scripts of the page run as a tap would run them."""

    def __init__(self, context, network, base=""):
        """`base`: the path of the host at which the service is, such as /bikes."""
        self.context, self.network, self.base = context, network, base
        self.engine, self.model = base + ENGINE, base + MODEL
        self.page = context.new_page()

    def open(self, path="/crew/"):
        """Open the page and wait until it has drawn something."""
        self.page.goto(self.network.url + self.base + path)
        self.page.wait_for_selector("#page header")

    def do(self, call):
        """Run a command of the engine, such as "claimNext()", and return its result."""
        return self.page.evaluate(f"import('{self.engine}').then((engine) => engine.{call})")

    def start(self, call):
        """Like `do`, but do not wait for it."""
        self.page.evaluate(f"void import('{self.engine}').then((engine) => engine.{call})")

    def knows(self, expression):
        """Evaluate an expression of `phone` (the stored rows) and `tab`."""
        script = f"import('{self.model}').then(({{ phone, tab }}) => {expression})"
        return self.page.evaluate(script)

    def wait(self, expression, seconds=30):
        """Wait until an expression of `phone` and `tab` is true."""
        self.wait_for_script(
            f"import('{self.model}').then(({{ phone, tab }}) => {expression})", seconds
        )

    def wait_for_script(self, script, seconds=30):
        """Wait until a script returns true. The page's policy forbids Playwright's own waiting."""
        deadline = time.monotonic() + seconds
        while not self.is_true(script):
            assert time.monotonic() < deadline, f"{script}: not within {seconds} s"
            self.page.wait_for_timeout(30)

    def is_true(self, script):
        try:
            return self.page.evaluate(script)
        except Error as error:
            # The page is being loaded again.
            if "context was destroyed" in str(error) or "navigation" in str(error):
                return False
            raise

    def report(self, task, kind="done", **values):
        """Save a report about the task, which is sent once it can no longer be undone."""
        about = {"id": task.pk, "attempt": task.attempt, "qty": task.qty}
        return self.page.evaluate(
            f"""([kind, about, values]) => import('{self.engine}').then((engine) =>
              import('{self.model}').then(({{ phone }}) => {{
                const task = phone.state.tasks.find(({{ id }}) => id === about.id) ?? about;
                return engine.report(kind, task, values);
              }}))""",
            [kind, about, values or {"moved_qty": None, "note": "", "problems": []}],
        )

    def reports(self, *fields):
        """Return these fields of each report on the phone, oldest first."""
        names = ", ".join(fields)
        rows = self.knows(f"phone.reports.map(({{ {names} }}) => [{names}])")
        return [tuple(row) if len(fields) > 1 else row[0] for row in rows]

    def send(self):
        """Send what waits, as a tap on "Send now" does, and wait until it has been tried."""
        self.do("sendNow()")

    def hide(self, hidden=True):
        """Put the phone into a pocket, or take it out."""
        state = "hidden" if hidden else "visible"
        self.page.evaluate(
            f"""Object.defineProperty(document, "visibilityState",
                  {{ value: "{state}", configurable: true }});
                document.dispatchEvent(new Event("visibilitychange"))"""
        )

    def refresh(self):
        """Show what the server knows now: the answer to a question under way may be older."""
        self.do("refresh().then(() => engine.refresh())")

    def words(self):
        return " ".join(self.page.locator("#page").inner_text().split())


@pytest.fixture
def network(server):
    with bad_network(server.url) as network:
        yield network


@pytest.fixture
def open_phone(chromium, network):
    """Open the page on a phone that is signed in as a crew, or that is not: None."""

    @contextmanager
    def opened(worker_id="van-3", *, page=True, **options):
        with chromium.new_context(**{**PHONE, **options}) as context:
            if worker_id:
                sign_in(context, network, worker_id)
            phone = Phone(context, network)
            if page:
                phone.open()
                if worker_id:
                    phone.wait("phone.state.signedIn")
            yield phone

    return opened


@pytest.fixture
def kept_phone(chromium, network, tmp_path):
    """Start the browser on one profile, as often as a test likes. It can be killed."""

    @contextmanager
    def started():
        context = chromium.browser_type.launch_persistent_context(
            tmp_path / "profile",
            executable_path=shutil.which("chromium"),
            args=ARGUMENTS,
            **PHONE,
        )
        sign_in(context, network, "van-3")
        try:
            yield Phone(context, network)
        finally:
            # The test may have killed it.
            with suppress(Error):
                context.close()

    def kill():
        os.kill(browser_process(tmp_path / "profile"), signal.SIGKILL)

    started.kill = kill
    return started


def browser_process(profile):
    """Return the process id of the browser with this profile."""
    mark = f"--user-data-dir={profile}".encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in words and not any(word.startswith(b"--type=") for word in words):
            return int(entry.parent.name)
    raise AssertionError("The browser does not run.")


@pytest.fixture
def held_tasks(transactional_db):
    """Three tasks that van-3 holds, oldest first."""
    for _ in range(3):
        TaskFactory()
    return [services.claim_next_task("van-3", actor="api") for _ in range(3)]


def sent(network):
    """Return all reports that have reached the proxy, in order."""
    return [json.loads(each.body) for each in network.matching(REPORTS)]


def completed_tasks():
    """Return the ids of the completed tasks, in order."""
    events = TaskEvent.objects.filter(kind="completed").order_by("id")
    return list(events.values_list("task_id", flat=True))


def enrol(worker_id):
    """Add a crew and a phone to it. Returns the phone and the secret of its cookie."""
    crew, _ = Crew.objects.get_or_create(worker_id=worker_id)
    _, code = services.create_code(crew.pk, actor="maria")
    return services.join(code, uuid4().hex, label="Android phone, Chrome", address="127.0.0.1")


def sign_in(context, network, worker_id, path="/crew/"):
    """Give the browser the cookie of a new phone of the crew. Returns that phone."""
    device, secret = enrol(worker_id)
    cookie = {"name": COOKIE, "value": secret, "path": path, "httpOnly": True}
    context.add_cookies([{**cookie, "domain": "127.0.0.1", "sameSite": "Lax"}])
    return device
