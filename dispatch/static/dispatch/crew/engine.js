/* The crews' page without its screen: storage, network and the service worker. `start` draws the view
   at each change; the other functions are the commands of the screen. */
import { claimNext } from "./claims.js";
import { crewId, load, onDraw, phone, tab } from "./model.js";
import { add, asNote, asText, dismiss, endsTask, isAboutEnd, isHeld, isUnsent, releaseHeld, shown, undo, untilReleased } from "./reports.js";
import { refusal } from "./refusal.js";
import { send } from "./sender.js";
import { refresh, shown as shownOnScreen } from "./state.js";
import { read, recover, storage, write } from "./store.js";
import { applyUpdate, checkForUpdate } from "./updates.js";

const REFRESH_MS = 15_000;
const SEND_MS = 30_000;

export { applyUpdate, claimNext, dismiss, refresh, undo };
export { asText as outboxText, shownOnScreen as shown };
export { checkCode, join, signOut } from "./joining.js";

/* Resolves once the view has been drawn with what the phone knows. */
export async function start(onChange) {
  onDraw(() => onChange(view()));
  await load();
  document.addEventListener("visibilitychange", () => (isVisible() ? wake() : leave()));
  addEventListener("pageshow", wake);
  addEventListener("online", wake);
  setInterval(() => isVisible() && refresh(), REFRESH_MS);
  setInterval(() => isVisible() && recoverAndSend(), SEND_MS);
  await wake();
}

const isVisible = () => document.visibilityState === "visible";

/* A frozen page has missed what other tabs wrote. */
async function wake() {
  await recoverAndSend();
  refresh();
  checkForUpdate();
}

async function recoverAndSend() {
  await recover();
  await load();
  send();
}

/* In a pocket nothing is sent: the last chance comes before. */
async function leave() {
  await releaseHeld();
  await send();
}

/* Resolves to the report's id once it is saved. It can be undone for six seconds, then it is sent. */
export async function report(kind, task, values) {
  const id = await add(kind, task, values);
  const saved = phone.reports.find((each) => each.id === id);
  if (saved && isHeld(saved)) setTimeout(() => load().then(send), untilReleased(saved));
  send({ tap: true });
  return id;
}

/* Replaces a refused report by a problem with the same words. */
export async function sendAsNote(id) {
  const refused = phone.reports.find((each) => each.id === id);
  if (!refused) return;
  await report("problem", refused.task, { note: asNote(refused), problems: [] });
  await dismiss(id);
}

export async function sendNow() {
  await releaseHeld();
  await send({ tap: true });
}

/* Renews the leases of the crew's tasks. Throws {code} without a network. */
export async function here() {
  if (!(await refresh({ here: true }))) throw refusal("no_network");
}

/* Keeps a value of the screen across restarts, such as a half-filled form. Draws nothing. */
export function remember(name, value) {
  return write((rows) => rows.put("values", { name: `remembered ${name}`, value }));
}

export function recall(name) {
  return read(async (rows) => (await rows.get("values", `remembered ${name}`))?.value);
}

function view() {
  const { state, reports } = phone;
  const own = reports.filter((each) => each.crew === crewId());
  return {
    signedIn: state.signedIn,
    crew: state.crew,
    device: state.device,
    day: state.day,
    zone: state.zone,
    waiting: state.waiting,
    tasks: state.tasks.map((task) => ({ ...task, report: reportAbout(task, own) })),
    ended: state.ended.filter((end) => !own.some((each) => explains(each, end))),
    stateAt: state.at,
    connection: tab.connection,
    clockOffset: state.offset,
    outbox: own.map(shown),
    unsent: own.filter(isUnsent).length,
    foreign: foreign(reports),
    claim: claimState(),
    retryAt: tab.retryAt,
    storage: storage(),
    updateReady: tab.updateReady,
    canWorkOffline: tab.canWorkOffline,
    version: tab.version,
  };
}

/* The answer to such a report says what became of the task. */
function explains(report, end) {
  return isAboutEnd(report, end) && endsTask(report) && report.state !== "refused";
}

/* The report that ends the task, else the newest problem. */
function reportAbout({ id, attempt }, own) {
  const about = own.filter((each) => each.task_id === id && each.attempt === attempt && each.state !== "refused");
  const found = about.findLast(endsTask) ?? about.at(-1);
  return found ? shown(found) : null;
}

function foreign(reports) {
  const counts = new Map();
  for (const { crew, state } of reports) {
    if (crew !== crewId() && state === "waiting") counts.set(crew, (counts.get(crew) ?? 0) + 1);
  }
  return Array.from(counts, ([worker_id, count]) => ({ worker_id, count }));
}

/* A claim that is open although nothing is being asked: its answer was lost. */
function claimState() {
  return tab.claim === "idle" && phone.claim?.crew === crewId() ? "lost" : tab.claim;
}
