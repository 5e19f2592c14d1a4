/* The data of this tab: the phone's rows as last read, and values of this tab alone. Every tab draws
   itself again when one has written. */
import { BASE } from "./server.js";
import { read, write } from "./store.js";

const NO_STATE = {
  name: "state",
  // Counts the phone's own changes: an answer that was asked for before one of them is out of date.
  revision: 0,
  signedIn: null,
  crew: null,
  device: null,
  day: { tasks: 0, bikes: 0 },
  zone: null,
  waiting: 0,
  tasks: [],
  // Tasks that are missing from the last answer, which does not say why.
  missing: [],
  ended: [],
  at: null,
  offset: 0,
};

/* Of this tab alone. */
export const tab = {
  connection: "unknown",
  claim: "idle",
  retryAt: null,
  // The id of the report on its way.
  sending: null,
  // The crew that the server has named since this page was opened.
  confirmedCrew: null,
  updateReady: false,
  canWorkOffline: false,
  // Of the page's files on this phone.
  version: null,
};

/* Of the phone: `reports` in the order in which they were made, the last `state`, an open `claim`. */
export const phone = { reports: [], state: NO_STATE, claim: null };

const channel = new BroadcastChannel(`crew ${BASE}`);
let draw = () => {};

export function onDraw(callback) {
  draw = callback;
  channel.onmessage = load;
}

export async function load() {
  const [reports, values] = await read(async (rows) => [await rows.all("reports"), await rows.all("values")]);
  phone.reports = reports.sort((one, other) => one.seq - other.seq);
  phone.state = values.find(({ name }) => name === "state") ?? NO_STATE;
  phone.claim = values.find(({ name }) => name === "claim") ?? null;
  draw();
}

/* Like the store's `write`; then all tabs draw themselves again. */
export async function change(work) {
  const result = await write(work);
  channel.postMessage("changed");
  await load();
  return result;
}

/* For a change of what only this tab knows. */
export function set(values) {
  Object.assign(tab, values);
  draw();
}

/* In a transaction: replaces the state by what `update(state)` returns, unless that is undefined. */
export async function changeState(rows, update) {
  const state = (await rows.get("values", "state")) ?? NO_STATE;
  const next = update(state);
  if (next) await rows.put("values", { ...next, revision: state.revision + 1 });
  return next;
}

export function freshState(values) {
  return { ...NO_STATE, ...values };
}

export function crewId() {
  return phone.state.crew?.worker_id ?? null;
}

/* Also without HTTPS, where browsers have no crypto.randomUUID. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
