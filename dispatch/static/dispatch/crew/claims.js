/* Claims of the next task. A claim's key is on the disk before the request, so that a claim whose
   answer was lost is repeated, never made twice. */
import { change, changeState, crewId, phone, set, tab, uuid } from "./model.js";
import { isUnsent, releaseHeld } from "./reports.js";
import { send } from "./sender.js";
import { call, NoNetwork } from "./server.js";
import { refresh } from "./state.js";

// An older key would take a task that the crew no longer wants.
const KEY_LIFE_MS = 300_000;

const OUTCOMES = { no_task: "none", inactive: "inactive" };

let running = null;

/* For a tap. Reports go first: a task whose report waits still counts as held. */
export function claimNext() {
  running ??= claim().finally(() => (running = null));
  return running;
}

async function claim() {
  set({ claim: "asking", retryAt: null });
  try {
    await releaseHeld();
    await send({ tap: true });
    const key = phone.reports.some(isUnsent) ? null : await openKey();
    if (key) await ask(key);
  } finally {
    if (tab.claim === "asking") set({ claim: "idle" });
  }
}

/* The key of the open claim if it is still to be repeated, or a new one. Null if an old claim turns out
   to have been made, or if that is unknown. */
async function openKey() {
  if (phone.claim && !isYoung(phone.claim)) {
    if (!(await refresh()) || !phone.claim) return null;
  }
  return change(async (rows) => {
    const open = await rows.get("values", "claim");
    if (open && open.crew === crewId() && isYoung(open)) return open.key;
    const { tasks } = (await rows.get("values", "state")) ?? phone.state;
    const held = tasks.map(({ id }) => id);
    const claim = { name: "claim", key: uuid(), madeAt: Date.now(), crew: crewId(), held };
    await rows.put("values", claim);
    return claim.key;
  });
}

function isYoung({ madeAt }) {
  const age = Date.now() - madeAt;
  return age >= 0 && age < KEY_LIFE_MS;
}

async function ask(key) {
  try {
    const { status, data, retryAfter } = await call("next", { body: {}, key });
    set({ connection: "ok" });
    await judge(key, status, data, retryAfter);
  } catch (error) {
    if (!(error instanceof NoNetwork)) throw error;
    set({ connection: "lost" });
  }
}

/* An open claim is shown as lost. The task of a repeated claim may be somebody else's by now. */
async function judge(key, status, data, retryAfter) {
  const isUnknown = status === 401 || status === 429 || status >= 500;
  if (!isUnknown) await close(key, status === 200 ? data : null);
  if (data.code === "claim_ended") return ask(await openKey());
  const wait = data.retry_after ?? retryAfter;
  const retryAt = wait === null ? null : Date.now() + 1000 * wait;
  set({ claim: OUTCOMES[data.code] ?? "idle", retryAt });
  return refresh();
}

/* Forgets the key, and in the same transaction remembers the task, unless the phone has changed its
   crew meanwhile. */
async function close(key, task) {
  await change(async (rows) => {
    const open = await rows.get("values", "claim");
    if (open?.key !== key) return;
    await rows.remove("values", "claim");
    const add = (state) => ({ ...state, tasks: [...state.tasks.filter(({ id }) => id !== task.id), task] });
    if (task) await changeState(rows, (state) => (state.crew?.worker_id === open.crew ? add(state) : undefined));
  });
}
