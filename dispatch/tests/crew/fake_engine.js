/* Stands in for the engine: shows the views that a test puts in `fake`, and records the commands. */

const fake = globalThis.fake;
fake.calls = [];

export function start(onChange) {
  fake.show = (change) => onChange(Object.assign(fake.view, change));
  fake.show({});
}

export function remember(name, value) {
  sessionStorage.setItem(name, JSON.stringify(value));
}

export function recall(name) {
  return JSON.parse(sessionStorage.getItem(name) ?? "null");
}

export async function checkCode(code) {
  fake.calls.push(["checkCode", code]);
  if (fake.refusal) throw fake.refusal;
  return { crew: { worker_id: "van-3", name: "Turno de noche", language: "es" } };
}

export function outboxText() {
  return "2 reports of van-3";
}

function recorded(name) {
  return async (...values) => void fake.calls.push([name, ...values]);
}

export const join = recorded("join");
export const signOut = recorded("signOut");
export const claimNext = recorded("claimNext");
export const report = recorded("report");
export const undo = async (id) => Boolean(fake.calls.push(["undo", id]));
export const dismiss = recorded("dismiss");
export const here = recorded("here");
export const refresh = recorded("refresh");
export const applyUpdate = recorded("applyUpdate");
export const sendNow = recorded("sendNow");
export const shown = recorded("shown");
