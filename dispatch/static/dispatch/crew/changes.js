/* Notices changes by dispatch since the phone last looked: tasks, priorities, messages, ends. */
import { keep, memory } from "./memory.js";

const PULSES = [200, 100, 200];
let lastState = null;
let ends = new Set();

/* True if there is something new to show. */
export function noteChanges(view) {
  const newEnds = view.ended.filter(({ task_id }) => !ends.has(task_id));
  ends = new Set(view.ended.map(({ task_id }) => task_id));
  const changed = noteTasks(view) || newEnds.length > 0;
  // Browsers complain about a vibration before the first tap.
  if (changed && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(PULSES);
  return changed;
}

function noteTasks(view) {
  if (!view.stateAt || view.stateAt === lastState) return false;
  lastState = view.stateAt;
  const known = memory.known ?? {};
  const held = new Set(view.tasks.map(({ id }) => id));
  const found = view.tasks.flatMap((task) => changesOf(task, known[task.id]));
  const newMessages = view.tasks.some((task) => newest(task) > (known[task.id]?.message ?? 0));
  const next = {
    known: Object.fromEntries(view.tasks.map((task) => [task.id, traits(task)])),
    notices: [...memory.notices.filter(({ task_id }) => held.has(task_id)), ...found],
    read: Object.fromEntries(Object.entries(memory.read).filter(([id]) => held.has(Number(id)))),
  };
  if (JSON.stringify({ ...memory, ...next }) !== JSON.stringify(memory)) keep(next);
  return found.length > 0 || newMessages;
}

function changesOf(task, before) {
  const about = { task_id: task.id, at: Date.now() };
  if (!before) {
    if (!task.by_dispatch) return [];
    return [{ ...about, id: `assigned/${task.id}/${task.attempt}`, kind: "assigned" }];
  }
  if (before.priority === task.priority) return [];
  const kind = task.priority > before.priority ? "raised" : "lowered";
  return [{ ...about, id: `priority/${task.id}/${about.at}`, kind }];
}

function traits(task) {
  return { priority: task.priority, message: newest(task) };
}

function newest(task) {
  return task.messages?.at(-1)?.id ?? 0;
}
