/* The server's state of the crew: its tasks, the ends of former ones, and the day. */
import { change, changeState, freshState, phone, set, tab } from "./model.js";
import { dropTaken } from "./reports.js";
import { call, NoNetwork } from "./server.js";
import { versionSeen } from "./updates.js";

const SIGN_OF_LIFE_MS = 120_000;
// The server explains no more at once.
const MOST_TASKS = 100;

let running = null;
let lastSignOfLife = -Infinity;
// Tasks and messages being reported as seen.
const reporting = new Set();

/* Asks for the state. Resolves to true if the server answered, also if it refused. A phone that holds
   a task says every few minutes that it is there, which renews the task's lease. */
export async function refresh({ here = false } = {}) {
  if (here) await running;
  running ??= ask(here || isSignOfLifeDue()).finally(() => (running = null));
  return running;
}

function isSignOfLifeDue() {
  const isVisible = document.visibilityState === "visible";
  return isVisible && phone.state.tasks.length > 0 && performance.now() - lastSignOfLife > SIGN_OF_LIFE_MS;
}

async function ask(here) {
  try {
    for (let tries = 0; tries < 3; tries += 1) {
      if (await askOnce(here && tries === 0)) break;
    }
    set({ connection: "ok" });
    return true;
  } catch (error) {
    if (!(error instanceof NoNetwork)) throw error;
    set({ connection: "lost" });
    return false;
  }
}

/* False if the phone changed its state meanwhile: the answer may be older than that change. */
async function askOnce(here) {
  const { revision, tasks, missing } = phone.state;
  const asked = [...tasks, ...missing].slice(0, MOST_TASKS).map(({ id }) => id);
  const query = `?tasks=${asked}`;
  const askedAt = Date.now();
  const { status, data } = await call(here ? `here${query}` : `state${query}`, here ? { body: {} } : {});
  if (status === 401) await signOff();
  if (status !== 200 || !Array.isArray(data.tasks)) return true;
  if (here) lastSignOfLife = performance.now();
  versionSeen(data.version);
  const at = Date.now();
  const offset = Date.parse(data.now) - (askedAt + at) / 2;
  const isTaken = await change((rows) => take(rows, revision, { ...data, at, offset }));
  if (isTaken) set({ confirmedCrew: data.crew.worker_id });
  return isTaken;
}

async function signOff() {
  await change((rows) => changeState(rows, (state) => (state.signedIn === false ? undefined : { ...state, signedIn: false })));
}

/* In a transaction: writes the answer, unless the phone has changed its state since it asked. */
async function take(rows, revision, answer) {
  await dropTaken(rows);
  const next = await changeState(rows, (state) => {
    if (state.revision !== revision) return undefined;
    const isSameCrew = state.crew?.worker_id === answer.crew.worker_id;
    return merge(isSameCrew ? state : freshState({}), answer);
  });
  if (next) await settleClaim(rows, next);
  return Boolean(next);
}

function merge(former, answer) {
  const { crew, device, day, zone, waiting, tasks, at, offset } = answer;
  const known = [...former.tasks, ...former.missing];
  const explained = new Set([...tasks.map(({ id }) => id), ...answer.ended.map((end) => end.task_id)]);
  const news = answer.ended.map((end) => ({ ...end, task: known.find(({ id }) => id === end.task_id) ?? null }));
  const isNew = (end) => !tasks.some(({ id }) => id === end.task_id) && !news.some((other) => other.task_id === end.task_id);
  return {
    ...former,
    signedIn: true,
    ...{ crew, device, day, zone, waiting, tasks, at, offset },
    missing: known.filter(({ id }) => !explained.has(id)),
    ended: [...former.ended.filter(isNew), ...news],
  };
}

/* A claim whose answer was lost has been made if a task has come since. */
async function settleClaim(rows, { crew, tasks }) {
  const claim = await rows.get("values", "claim");
  const isMade = claim?.crew === crew.worker_id && tasks.some(({ id }) => !claim.held.includes(id));
  if (isMade) await rows.remove("values", "claim");
}

/* Reports that a task and its messages have been on the screen, once for each new message. */
export async function shown(task) {
  const body = { task_id: task.id, attempt: task.attempt, message_id: newest(task) };
  const name = JSON.stringify(body);
  if (!isUnseen(task) || reporting.has(name)) return;
  reporting.add(name);
  try {
    const { status } = await call("seen", { body });
    if (status === 200) await change((rows) => changeState(rows, (state) => markSeen(state, body)));
  } catch (error) {
    // It is reported with a later view.
    if (!(error instanceof NoNetwork)) throw error;
  } finally {
    reporting.delete(name);
  }
}

function newest({ messages }) {
  return messages.length ? Math.max(...messages.map(({ id }) => id)) : null;
}

function isUnseen(task) {
  return !task.seen || newest(task) > (task.seen_message_id ?? 0);
}

function markSeen(state, { task_id, attempt, message_id }) {
  const mark = (task) =>
    task.id === task_id && task.attempt === attempt ? { ...task, seen: true, seen_message_id: message_id } : task;
  return { ...state, tasks: state.tasks.map(mark) };
}
