"""The crews' page opens without a network, is of one version, and updates. A real browser."""

import hashlib
import json
import threading

import pytest

from dispatch import services
from dispatch.crew.worker import contents

from ..support.bad_proxy import hold, login_page, lose_request, redirect_to_login, rewrite
from ..support.factories import TaskFactory
from ..support.phone_browser import PHONE, Phone, network, open_phone, sign_in
from ..support.server import serve

__all__ = ["network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

STYLE = "/static/dispatch/crew/crew.css"
NEW_STYLE = "\n:root { --deployed: yes; }\n"
CACHES = "caches.keys()"
COUNT_MESSAGES = """() => {
  globalThis.messages = [];
  const { postMessage } = ServiceWorker.prototype;
  ServiceWorker.prototype.postMessage = function (message) {
    messages.push(message);
    return postMessage.call(this, message);
  };
}"""
COUNT_LOADS = "sessionStorage.loads = Number(sessionStorage.loads ?? 0) + 1"


@pytest.fixture
def task():
    TaskFactory()
    return services.claim_next_task("van-3", actor="api")


def deploy(network, also=()):
    """Let the proxy serve another version of the page: its style differs."""
    style = contents()[STYLE]
    old, new = (hashlib.sha256(each).hexdigest() for each in (style, style + NEW_STYLE.encode()))

    def renew(script):
        assert old.encode() in script
        version = script.partition(b'PREFIX + "')[2].partition(b'"')[0]
        return script.replace(old.encode(), new.encode()).replace(version, b"0123456789abcdef")

    network.rule(f"GET {STYLE}", rewrite(lambda body: body + NEW_STYLE.encode()))
    network.rule("GET /crew/sw.js", rewrite(renew))


def is_deployed(phone):
    script = "getComputedStyle(document.documentElement).getPropertyValue('--deployed')"
    return phone.page.evaluate(script).strip() == "yes"


def version(phone):
    [name] = phone.page.evaluate(CACHES)
    return name.removeprefix("crew /crew/ ")


def settle_worker(phone):
    """Wait for the worker, and until the page's first look for an update has ended.

    Browsers let a look that is under way answer a later one, which would miss a deploy between.
    """
    phone.wait("tab.canWorkOffline")
    phone.page.evaluate("navigator.serviceWorker.ready.then((r) => r.update()).then(() => null)")


def test_page_opens_without_a_network_after_one_visit(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        network.disconnect()
        phone.page.close()
        phone.page = phone.context.new_page()

        for path in ("/crew/", "/crew/join", "/crew/?from=home"):
            phone.open(path)
        phone.open()

        assert phone.knows("phone.state.tasks.length") == 1
        assert f"{task.qty}" in phone.words()


def test_page_opens_on_a_network_that_redirects_to_its_login(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        network.rule("GET", redirect_to_login)

        phone.open()

        phone.wait("tab.connection === 'lost'")
        assert phone.knows("phone.state.tasks.length") == 1


def test_worker_leaves_everything_else_to_the_server(open_phone, network):
    with open_phone() as phone:
        settle_worker(phone)

        statuses = phone.page.evaluate(
            """() => Promise.all(["api/state?own", "nowhere", "../healthz"].map(
                 (path) => fetch(path).then(({ status }) => status)))"""
        )

        assert statuses == [403, 404, 200]
        asked = network.wait_for(r"GET /crew/(api/state\?own|nowhere)|GET /healthz", 3)
        assert len(asked) == 3
        assert phone.page.goto(f"{network.url}/crew/nowhere").status == 404


def test_page_opens_from_the_server_if_its_cache_cannot_be_read(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        [worker] = phone.context.service_workers
        worker.evaluate(
            """() => {
              const fail = async () => { throw new DOMException("Lost.", "UnknownError"); };
              Object.assign(CacheStorage.prototype, { open: fail, match: fail });
            }"""
        )

        phone.open()

        assert f"{task.qty}" in phone.words()


@pytest.mark.parametrize("failure", [login_page, redirect_to_login, lose_request])
def test_worker_stores_all_files_or_none(open_phone, network, failure):
    network.rule("GET /crew/texts-es.json", failure)
    with open_phone() as phone:
        network.wait_for("GET /crew/texts-es.json")
        phone.wait_for_script("navigator.serviceWorker.getRegistration().then((r) => !r)")

        assert phone.page.evaluate(CACHES) == []
        assert not phone.knows("tab.canWorkOffline")


def test_file_of_another_version_is_not_stored(open_phone, network):
    """During a deploy, one server has the new files and another the old ones."""
    network.rule(f"GET {STYLE}", rewrite(lambda body: body + NEW_STYLE.encode()))
    with open_phone() as phone:
        network.wait_for(f"GET {STYLE}", 2)
        phone.wait_for_script("navigator.serviceWorker.getRegistration().then((r) => !r)")

        assert phone.page.evaluate(CACHES) == []


def test_update_waits_for_the_page_and_keeps_the_outbox(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        before = version(phone)
        network.rule("POST /crew/api/reports", lose_request)
        phone.report(task)
        phone.send()
        deploy(network)
        phone.page.evaluate("globalThis.isOldPage = true")

        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")
        assert phone.page.evaluate("isOldPage")
        assert not is_deployed(phone)
        assert "crew /crew/ 0123456789abcdef" in phone.page.evaluate(CACHES)
        assert phone.knows("tab.version") == before

        with phone.page.expect_navigation():
            phone.start("applyUpdate()")
        phone.wait("phone.reports.length === 1")
        assert is_deployed(phone)
        assert version(phone) == "0123456789abcdef"
        assert phone.reports("state") == ["waiting"]

        network.rule("POST /crew/api/reports", lambda exchange: exchange.forward())
        phone.send()
        assert phone.reports("state") == ["settled"]


def test_half_filled_form_keeps_the_update_waiting(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        phone.open(f"/crew/#done/{task.pk}")
        phone.page.get_by_label("Note for dispatch").fill("Two locks are broken")
        phone.page.evaluate("globalThis.isOldPage = true")
        deploy(network)

        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")
        update = phone.page.get_by_role("button", name="Update")
        assert update.count() == 0
        phone.page.evaluate("location.hash = ''")
        assert phone.page.evaluate("isOldPage")
        with phone.page.expect_navigation():
            update.click()

        phone.open(f"/crew/#done/{task.pk}")
        assert is_deployed(phone)
        note = phone.page.get_by_label("Note for dispatch")
        assert note.input_value() == "Two locks are broken"


def test_worker_that_changes_while_the_page_starts_offers_the_update(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        # The scripts have run, and the page has not looked for an update yet.
        phone.page.add_init_script(
            """document.addEventListener("DOMContentLoaded", () =>
                 navigator.serviceWorker.dispatchEvent(new Event("controllerchange")))"""
        )
        phone.open()

        phone.wait("tab.updateReady")


def test_update_reloads_once(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        deploy(network)
        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")
        phone.page.add_init_script(COUNT_LOADS)

        with phone.page.expect_navigation():
            phone.start("applyUpdate()")
        phone.wait("phone.state.signedIn && tab.canWorkOffline && tab.connection === 'ok'")

        assert phone.page.evaluate("sessionStorage.loads") == "1"
        assert not phone.knows("tab.updateReady")


def test_page_that_is_opened_again_uses_the_new_version(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        deploy(network)
        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")

        phone.open()

        phone.wait("tab.version === '0123456789abcdef'")
        assert is_deployed(phone)


def test_other_tab_is_not_reloaded_by_an_update(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        other = type(phone)(phone.context, network)
        other.open()
        # A page that finds the update while it opens uses it at once.
        settle_worker(other)
        other.page.evaluate("globalThis.isOldPage = true")
        deploy(network)
        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")

        with phone.page.expect_navigation():
            phone.start("applyUpdate()")

        other.wait("tab.updateReady")
        assert other.page.evaluate("isOldPage")
        with other.page.expect_navigation():
            other.start("applyUpdate()")
        assert is_deployed(other)


def test_no_update_while_a_report_is_being_sent(open_phone, network, task):
    arrived, answer = threading.Event(), threading.Event()
    with open_phone() as phone:
        settle_worker(phone)
        deploy(network)
        phone.hide()
        phone.hide(False)
        phone.wait("tab.updateReady")
        phone.page.evaluate(COUNT_MESSAGES)
        network.rule("POST /crew/api/reports", hold_until(arrived, answer))
        phone.report(task)
        phone.start("sendNow()")
        assert arrived.wait(30)

        phone.do("applyUpdate()")
        assert phone.page.evaluate("messages") == []
        answer.set()
        phone.wait("phone.reports[0].state === 'settled' && !tab.sending")

        with phone.page.expect_navigation():
            phone.start("applyUpdate()")


def hold_until(arrived, answer):
    """A behaviour that sets `arrived` and waits for `answer`."""

    def behaviour(exchange):
        arrived.set()
        return hold(answer)(exchange)

    return behaviour


def test_broken_update_leaves_the_page_as_it_is(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        before = version(phone)
        deploy(network)
        network.rule(f"GET {STYLE}", login_page)

        phone.hide()
        phone.hide(False)
        network.wait_for(f"GET {STYLE}", 3)
        phone.wait_for_script(
            "navigator.serviceWorker.getRegistration().then((r) => !r.installing && !r.waiting)"
        )

        assert not phone.knows("tab.updateReady")
        assert version(phone) == before
        network.disconnect()
        phone.open()


def test_answer_of_another_version_makes_the_page_look_for_an_update(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        deploy(network)
        network.rule("GET /crew/api/state", rewrite(lambda body: with_version(body, "new")))

        phone.do("refresh()")

        phone.wait("tab.updateReady")


def with_version(body, version):
    return json.dumps({**json.loads(body), "version": version}).encode()


def test_kill_switch_removes_the_page_from_phones(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        network.rule("POST /crew/api/reports", lose_request)
        phone.report(task)
        phone.send()
        with serve(CREW_PAGE_OFFLINE="false") as switched_off:
            network.upstream = switched_off.url
            phone.open()
            phone.wait_for_script("caches.keys().then((names) => names.length === 0)")
            phone.open()
            phone.wait_for_script("navigator.serviceWorker.getRegistration().then((r) => !r)")
            assert phone.page.evaluate("navigator.serviceWorker.controller") is None
            assert not phone.knows("tab.canWorkOffline")

            network.clear()
            phone.send()
            assert phone.reports("state") == ["settled"]


def test_page_below_a_path_works_without_a_network(chromium, transactional_db, task):
    with chromium.new_context(**PHONE) as context:
        with serve(BASE_PATH="/bikes", probe="/bikes/readyz") as server:
            sign_in(context, server, "van-3", path="/bikes/crew/")
            phone = Phone(context, server, base="/bikes")
            phone.open()
            phone.wait("phone.state.tasks.length === 1 && tab.canWorkOffline")

        phone.open()

        assert phone.knows("phone.state.tasks.length") == 1
        assert phone.page.evaluate(CACHES) == [f"crew /bikes/crew/ {phone.knows('tab.version')}"]


def test_worker_keeps_every_file_that_the_page_loads(open_phone, network, task):
    with open_phone() as phone:
        settle_worker(phone)
        loaded = {each.path.partition("?")[0] for each in network.matching("GET (?!/crew/api)")}

    assert loaded - {"/crew/sw.js"} <= set(contents())
