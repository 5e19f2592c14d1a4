"""Reports on a phone whose storage fails, comes back, or was never there."""

import pytest

from ..support.bad_proxy import lose_request
from ..support.phone_browser import REPORTS, completed_tasks, held_tasks, network, open_phone

__all__ = ["held_tasks", "network", "open_phone"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
]

BROKEN_STORAGE = """
  const open = indexedDB.open.bind(indexedDB);
  globalThis.failures = Infinity;
  indexedDB.open = (...values) => {
    if ((globalThis.failures -= 1) >= 0) throw new DOMException("Lost.", "UnknownError");
    return open(...values);
  };
"""


def test_page_without_storage_says_so_and_sends_from_memory(open_phone, network, held_tasks):
    with open_phone(page=False) as phone:
        phone.page.add_init_script(BROKEN_STORAGE)
        phone.open()
        phone.wait("phone.state.tasks.length === 3")
        opened = [each.headers["Sec-Fetch-Dest"] for each in network.matching("GET /crew/$")]
        assert opened.count("document") == 2, "It reloads once."
        assert "This phone cannot save reports" in phone.words()

        phone.report(held_tasks[0])
        phone.send()

        assert phone.reports("state") == ["settled"]
    assert completed_tasks() == [held_tasks[0].pk]


def test_report_in_memory_is_saved_once_the_storage_is_back(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        phone.page.evaluate(LOSE_STORAGE)
        phone.report(held_tasks[0])
        assert "This phone cannot save reports" in phone.words()

        phone.page.evaluate("findStorage()")
        wait_until_saved(phone)

        assert phone.reports("task_id", "state") == [(held_tasks[0].pk, "waiting")]


def test_report_made_while_the_storage_comes_back_is_saved_too(open_phone, network, held_tasks):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        phone.page.evaluate(LOSE_STORAGE)
        phone.report(held_tasks[0])

        phone.page.evaluate(FIND_STORAGE_AND_REPORT, phone.engine)
        wait_until_saved(phone)

        assert phone.reports("kind", "state") == [("done", "waiting"), ("problem", "waiting")]


def test_report_in_memory_outlives_a_reading_that_began_before_the_loss(
    open_phone, network, held_tasks
):
    with open_phone() as phone:
        network.rule(REPORTS, lose_request)
        phone.page.evaluate(HOLD_NEXT_TRANSACTION)
        phone.page.evaluate("(model) => void import(model).then(({ load }) => load())", phone.model)
        phone.wait_for_script("Boolean(globalThis.release)")
        phone.page.evaluate(LOSE_STORAGE)
        phone.report(held_tasks[0])
        phone.page.evaluate("release()")

        phone.page.evaluate("findStorage()")
        wait_until_saved(phone)

        assert phone.reports("task_id", "state") == [(held_tasks[0].pk, "waiting")]


def wait_until_saved(phone):
    """Take the phone out of a pocket until it saves reports again, and open the page again."""
    phone.hide()
    phone.hide(False)
    phone.wait_for_script("!document.body.innerText.includes('cannot save reports')")
    phone.open()


LOSE_STORAGE = """() => {
  const { open } = indexedDB;
  const { transaction } = IDBDatabase.prototype;
  const fail = () => { throw new DOMException("Lost.", "UnknownError"); };
  indexedDB.open = IDBDatabase.prototype.transaction = fail;
  globalThis.findStorage = () => {
    indexedDB.open = open;
    IDBDatabase.prototype.transaction = transaction;
  };
}"""
# Reports once more after the first transaction has ended, but before the page knows.
FIND_STORAGE_AND_REPORT = """async (address) => {
  const { report } = await import(address);
  const [task] = (await import(address.replace("engine", "model"))).phone.state.tasks;
  let meanwhile = () => report("problem", task, { problems: ["blocked"], note: "" });
  Object.defineProperty(IDBTransaction.prototype, "oncomplete", {
    set(done) {
      this.addEventListener("complete", async () => {
        const work = meanwhile;
        meanwhile = () => {};
        await work();
        done();
      });
    },
  });
  findStorage();
}"""
# The next transaction ends, but the page does not know it until `release()`.
HOLD_NEXT_TRANSACTION = """() => {
  const usual = Object.getOwnPropertyDescriptor(IDBTransaction.prototype, "oncomplete");
  Object.defineProperty(IDBTransaction.prototype, "oncomplete", {
    configurable: true,
    set(done) {
      Object.defineProperty(IDBTransaction.prototype, "oncomplete", usual);
      this.addEventListener("complete", () => (globalThis.release = done));
    },
  });
}"""
