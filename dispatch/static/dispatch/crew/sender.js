/* Sends reports: one at a time, oldest first, one tab at a time. Only an answer that repeats a report's
   id proves that the server has it; until then the report is sent again. */
import { change, changeState, crewId, phone, set, tab } from "./model.js";
import { begin, finish, nextToSend } from "./reports.js";
import { BASE, call, NoNetwork } from "./server.js";
import { refresh } from "./state.js";
import { checkForUpdate } from "./updates.js";

const LOCK = `crew sender ${BASE}`;
// Browsers have kept the locks of pages that were gone. The server settles a report once anyway.
const LOCK_PATIENCE_MS = 60_000;
const LOCK_RETRY_MS = 1_000;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 30_000;
const REFUSED = [400, 413, 415, 422];

let running = null;
let again = false;
let lockedOutSince = null;
let retryTimer;
let retryMs = FIRST_RETRY_MS;
let pausedUntil = 0;

/* Sends what waits. `tap`: someone asked for it, so no wait holds it up. */
export function send({ tap = false } = {}) {
  if (tap) pausedUntil = 0;
  again = true;
  running ??= passes();
  return running;
}

async function passes() {
  try {
    while (again) {
      again = false;
      clearTimeout(retryTimer);
      await withLock(pass);
    }
  } finally {
    running = null;
  }
}

async function withLock(work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
    if (lock) lockedOutSince = null;
    else lockedOutSince ??= performance.now();
    if (lock || performance.now() - lockedOutSince > LOCK_PATIENCE_MS) return work();
    return retryIn(LOCK_RETRY_MS);
  });
}

/* For a change of the crew: while nothing is being sent. */
export async function whileNothingIsSent(work) {
  if (!navigator.locks) return work();
  let hasBegun = false;
  const begin = () => {
    hasBegun = true;
    return work();
  };
  try {
    return await navigator.locks.request(LOCK, { signal: AbortSignal.timeout(LOCK_PATIENCE_MS / 2) }, begin);
  } catch (error) {
    if (hasBegun) throw error;
    return work();
  }
}

function retryIn(ms) {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(() => document.visibilityState === "visible" && send(), ms);
}

async function pass() {
  const skipped = new Set();
  let hasSettled = false;
  while (await maySend(skipped)) {
    const report = nextToSend(skipped);
    const outcome = await sendOne(report);
    if (outcome === "stop") break;
    if (outcome === "skip") skipped.add(report.id);
    hasSettled ||= outcome === "settled";
  }
  if (hasSettled) refresh();
}

/* Reports go out only under the crew that made them: the server must have named it since this page
   was opened. */
async function maySend(skipped) {
  if (!nextToSend(skipped) || performance.now() < pausedUntil) return false;
  if (tab.confirmedCrew !== crewId()) await refresh();
  if (tab.connection === "lost" && tab.confirmedCrew !== crewId()) pause(null);
  const isOurs = tab.confirmedCrew === crewId() && phone.state.signedIn === true;
  return isOurs && Boolean(nextToSend(skipped));
}

async function sendOne({ id }) {
  const body = await begin(id);
  if (!body) return "gone";
  set({ sending: id });
  try {
    const answer = await call("reports", { body, keepalive: true });
    retryMs = FIRST_RETRY_MS;
    set({ connection: "ok" });
    return await judge(id, answer);
  } catch (error) {
    if (!(error instanceof NoNetwork)) throw error;
    set({ connection: "lost" });
    return pause(error.retryAfter);
  } finally {
    set({ sending: null });
  }
}

async function judge(id, { status, data, retryAfter }) {
  if (status === 401) return signedOut();
  if (status === 429 || status === 503) return pause(retryAfter);
  if (data.code === "update") {
    checkForUpdate();
    return "skip";
  }
  if (data.id === id && (status === 200 || status === 409)) return settle(id, "settled", status, data);
  if (data.id === id && status === 404) return settle(id, "refused", status, data);
  if (REFUSED.includes(status)) return settle(id, "refused", status, data);
  // An error of the server, or of its configuration: this report waits, the others go on.
  return "skip";
}

async function settle(id, state, status, data) {
  await finish(id, state, status, data);
  return "settled";
}

async function signedOut() {
  await change((rows) => changeState(rows, (state) => ({ ...state, signedIn: false })));
  return "stop";
}

function pause(retryAfter) {
  if (retryAfter) pausedUntil = performance.now() + retryAfter * 1000;
  retryIn(retryAfter ? retryAfter * 1000 : retryMs);
  retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
  return "stop";
}
