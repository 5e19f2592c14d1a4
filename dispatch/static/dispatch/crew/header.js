/* The top of every screen: its name, the unsent reports, and whatever needs attention. */
import { h, icon } from "./dom.js";
import * as engine from "./engine.js";
import { ago, clock, onServer } from "./figures.js";
import { button, screenLink } from "./parts.js";
import { current, isForm } from "./routes.js";
import { gettext, ngettext } from "./texts.js";

export function header(view) {
  return h(
    "header",
    null,
    h("div.bar", null, current().name && view.crew ? back() : whose(view), view.crew && menu()),
    strips(view),
  );
}

function back() {
  return h("a.icon-button", { href: "#" }, icon("back"), h("span", null, gettext("Back")));
}

function whose({ crew }) {
  return h("p.whose", null, crew ? crew.name || crew.worker_id : "Bay Wheels");
}

function menu() {
  const label = gettext("Settings and help");
  return h("a.icon-button.menu", { href: "#help", "aria-label": label }, icon("menu"));
}

function strips(view) {
  return [notSaved(view), signedOut(view), connection(view), unsent(view), foreign(view), update(view)];
}

function strip(tone, picture, words, ...actions) {
  return h(`div.strip.${tone}`, null, icon(picture), h("p", null, words), actions);
}

function notSaved({ storage }) {
  if (storage !== "memory") return null;
  return strip("alarm", "alert", gettext("This phone cannot save reports. Do not close this page."));
}

function signedOut({ signedIn, crew, unsent: n }) {
  if (signedIn !== false || !crew || current().name === "join") return null;
  const words = n
    ? ngettext("Join again to send %(n)s report.", "Join again to send %(n)s reports.", { n })
    : gettext("This phone is signed out.");
  return strip("alarm", "alert", words, screenLink(gettext("Join"), ["join"], { style: "small" }));
}

function connection({ connection: state, stateAt }) {
  if (state !== "lost") return null;
  const words = stateAt
    ? gettext("No connection since %(time)s. Reports are saved on this phone.", {
        time: clock(onServer(stateAt)),
      })
    : gettext("No connection.");
  return strip("warning", "lost", words);
}

/* Reports that can still be undone do not count: they are about to be sent. */
function unsent({ outbox }) {
  const waiting = outbox.filter(({ status }) => status === "waiting" || status === "sending");
  if (waiting.length === 0) return null;
  const values = {
    n: waiting.length,
    age: ago(onServer(Math.min(...waiting.map(({ tappedAt }) => tappedAt)))),
  };
  const words = ngettext(
    "%(n)s report not sent yet (%(age)s)",
    "%(n)s reports not sent yet (the oldest %(age)s)",
    values,
  );
  return h("a.strip.warning.unsent", { href: "#outbox" }, icon("up"), h("p", null, words));
}

function foreign({ foreign: crews }) {
  return crews.map(({ worker_id, count: n }) =>
    strip(
      "warning",
      "up",
      ngettext(
        "%(n)s report of %(crew)s waits on this phone until it joins %(crew)s again.",
        "%(n)s reports of %(crew)s wait on this phone until it joins %(crew)s again.",
        { n, crew: worker_id },
      ),
    ),
  );
}

/* Not while a form is open: the update reloads the page. */
function update({ updateReady }) {
  if (!updateReady || isForm(current().name)) return null;
  const load = button(gettext("Update"), () => engine.applyUpdate(), { style: "small" });
  return strip("info", "up", gettext("A new version of this page is ready."), load);
}
