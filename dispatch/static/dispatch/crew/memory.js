/* Values that the screens keep on this phone: the language, half-filled forms, notices, read messages. */
import { recall, remember } from "./engine.js";

const NAME = "screen";

export const memory = { language: null, drafts: {}, notices: [], known: null, read: {} };

export async function loadMemory() {
  Object.assign(memory, await recall(NAME));
}

export function keep(change) {
  Object.assign(memory, change);
  remember(NAME, { ...memory });
}

/* The name of a form's draft. A crew that gets a task again begins with an empty form. */
export function draftName(kind, { id, attempt }) {
  return `${kind}/${id}/${attempt}`;
}

export function draft(form, initial) {
  return { ...initial, ...memory.drafts[form] };
}

export function keepDraft(form, values) {
  keep({ drafts: { ...memory.drafts, [form]: values } });
}

export function dropDraft(form) {
  const { [form]: _, ...others } = memory.drafts;
  keep({ drafts: others });
}

export function unread(task) {
  return (task.messages ?? []).filter(({ id }) => id > (memory.read[task.id] ?? 0));
}

export function markRead(task) {
  keep({ read: { ...memory.read, [task.id]: task.messages.at(-1).id } });
}

export function dismissNotice(id) {
  keep({ notices: memory.notices.filter((notice) => notice.id !== id) });
}
