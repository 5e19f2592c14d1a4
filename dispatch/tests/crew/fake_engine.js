/* Stands in for the engine: shows the views that a test puts in `fake`, and records the commands.
   A command fails with `fake.refusal`, and never ends if `fake.isSlow`. */

const { fake } = globalThis;
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
  await recorded("checkCode")(code);
  return { crew: { worker_id: "van-3", name: "Turno de noche", language: "es" } };
}

export function outboxText() {
  return "van-3; done; task 4800";
}

function recorded(name) {
  return async (...values) => {
    fake.calls.push([name, ...values]);
    if (fake.slow === name) await new Promise(() => {});
    if (fake.refusal) throw fake.refusal;
  };
}

export const join = recorded("join");
export const signOut = recorded("signOut");
export const claimNext = recorded("claimNext");
export const report = recorded("report");
export const undo = recorded("undo");
export const dismiss = recorded("dismiss");
export const here = recorded("here");
export const applyUpdate = recorded("applyUpdate");
export const sendNow = recorded("sendNow");
export const sendAsNote = recorded("sendAsNote");

export function shown(task) {
  fake.calls.push(["shown", task.id]);
}
