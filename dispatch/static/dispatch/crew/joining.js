/* A phone joins a crew with a code, and leaves it. */
import { change, changeState, freshState, set, uuid } from "./model.js";
import { refusal } from "./refusal.js";
import { send, whileNothingIsSent } from "./sender.js";
import { call } from "./server.js";
import { refresh } from "./state.js";

/* Returns the crew of a code, without spending it. Throws {code}. */
export function checkCode(code) {
  return ask("code", { code });
}

/* Spends the code. Reports of another crew stay, and are sent once it signs in again. Throws {code};
   after "no_network" the same call again is safe. */
export async function join(code) {
  const nonce = await savedNonce();
  const answer = await whileNothingIsSent(async () => {
    // If the answer is cut off, its cookie may have arrived: ask whose it is before sending a report.
    set({ confirmedCrew: null });
    const joined = await ask("join", { code, nonce });
    await change((rows) => become(rows, joined));
    set({ confirmedCrew: joined.crew.worker_id });
    return joined;
  });
  navigator.storage?.persist?.();
  await refresh();
  send({ tap: true });
  return answer;
}

/* Lets the server recognize this phone if the answer is lost and the code is posted again. */
function savedNonce() {
  return change(async (rows) => {
    const saved = await rows.get("values", "nonce");
    if (saved) return saved.value;
    const nonce = { name: "nonce", value: uuid() };
    await rows.put("values", nonce);
    return nonce.value;
  });
}

async function become(rows, { crew, device }) {
  await rows.remove("values", "nonce");
  await changeState(rows, (state) => {
    const isSame = state.crew?.worker_id === crew.worker_id;
    return { ...(isSame ? state : freshState({})), signedIn: true, crew: { ...state.crew, ...crew }, device };
  });
}

/* Needs a network: the server revokes this phone. Unsent reports stay on the phone. */
export function signOut() {
  return whileNothingIsSent(async () => {
    await ask("signout", {});
    set({ confirmedCrew: null });
    await change(async (rows) => {
      await rows.remove("values", "claim");
      await changeState(rows, () => freshState({ signedIn: false }));
    });
  });
}

async function ask(path, body) {
  const { status, data, retryAfter } = await call(path, { body }).catch(() => {
    throw refusal("no_network");
  });
  if (status !== 200) throw refusal(data.code ?? "error", { retryAfter, detail: data.detail });
  return data;
}
