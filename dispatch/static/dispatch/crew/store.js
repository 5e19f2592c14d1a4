/* The rows that the phone keeps across restarts: `reports` by id and `values` by name, in IndexedDB.
   Without it (phones lose the connection to their storage) the rows live in this tab's memory. */
import { BASE } from "./server.js";

const NAME = `crew ${BASE}`;
const KEYS = { reports: "id", values: "name" };
const DEADLINE_MS = 5_000;
const RELOADED = `${NAME} reloaded`;

let opening = null;
let isLost = false;
// The rows as last read and written. Once the storage is lost, they are all that this tab has.
const known = { reports: new Map(), values: new Map() };
// Rows that are in memory only: [store, key] by their text.
const unsaved = new Map();

export const storage = () => (isLost ? "memory" : "ok");

/* Runs `work(rows)` in one transaction of both stores, and resolves once that is on the disk. `work`
   awaits nothing but `rows`, and may run twice: the storage may fail after it has written. */
export function write(work) {
  return attempt("readwrite", work);
}

export function read(work) {
  return attempt("readonly", work);
}

async function attempt(mode, work) {
  if (isLost) return inMemory(work);
  try {
    return await transact(mode, work);
  } catch {
    forget();
  }
  try {
    return await transact(mode, work);
  } catch {
    isLost = true;
    return inMemory(work);
  }
}

async function inMemory(work) {
  const result = await work(memoryRows());
  // The storage may have come back between two steps of the work.
  if (!isLost) await recover();
  return result;
}

/* Tries the storage again, with what has been in memory only. If that fails, reloading the page once
   may help, unless rows would be lost. */
export async function recover() {
  if (!isLost && !unsaved.size) {
    endLoss();
    return;
  }
  forget();
  try {
    // Meanwhile the crew may report more, which is in memory only.
    do await saveUnsaved();
    while (unsaved.size);
    isLost = false;
  } catch {
    isLost = true;
    if (!unsaved.size && mayReload()) location.reload();
  }
}

/* Notes in `known` what a transaction has read or written. Rows that have changed in memory since are
   newer: the storage may have been lost before the transaction ended. */
function note(store, key, row) {
  if (unsaved.has(`${store} ${key}`)) return;
  if (row) known[store].set(key, row);
  else known[store].delete(key);
}

function noteAll(store, rows) {
  const found = new Map(rows.map((row) => [row[KEYS[store]], row]));
  for (const key of new Set([...known[store].keys(), ...found.keys()])) note(store, key, found.get(key));
}

async function saveUnsaved() {
  const saved = new Map(unsaved);
  await transact("readwrite", async (rows) => {
    for (const [store, key] of saved.values()) {
      const row = known[store].get(key);
      await (row ? rows.put(store, row) : rows.remove(store, key));
    }
  });
  for (const [name, change] of saved) if (unsaved.get(name) === change) unsaved.delete(name);
}

/* Once for each loss. */
function mayReload() {
  try {
    const hasReloaded = sessionStorage.getItem(RELOADED);
    sessionStorage.setItem(RELOADED, "yes");
    return !hasReloaded;
  } catch {
    return false;
  }
}

function endLoss() {
  try {
    sessionStorage.removeItem(RELOADED);
  } catch {
    // Then the page has not been reloaded either.
  }
}

function open() {
  opening ??= new Promise((resolve, reject) => {
    // Without a number, it opens the version that another release of the page has made.
    const request = indexedDB.open(NAME);
    request.onupgradeneeded = () => {
      for (const [store, keyPath] of Object.entries(KEYS)) {
        request.result.createObjectStore(store, { keyPath });
      }
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      request.result.onclose = request.result.onversionchange = forget;
      resolve(request.result);
    };
  });
  return opening;
}

function forget() {
  opening?.then((database) => database.close(), () => {});
  opening = null;
}

/* Some phones never answer: after the deadline, the storage counts as lost. */
function transact(mode, work) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("The storage does not answer.")), DEADLINE_MS);
    run(mode, work).then(resolve, reject).finally(() => clearTimeout(late));
  });
}

async function run(mode, work) {
  const database = await open();
  const transaction = database.transaction(Object.keys(KEYS), mode, { durability: "strict" });
  const done = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Error("The storage failed."));
  });
  const changes = [];
  const [result] = await Promise.all([work(storedRows(transaction, changes)), done]);
  for (const change of changes) change();
  return result;
}

function storedRows(transaction, changes) {
  const ask = (store, operation, argument) =>
    new Promise((resolve, reject) => {
      const request = transaction.objectStore(store)[operation](argument);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  return {
    get: (store, key) => ask(store, "get", key),
    async all(store) {
      const rows = await ask(store, "getAll");
      changes.push(() => noteAll(store, rows));
      return rows;
    },
    put(store, row) {
      changes.push(() => note(store, row[KEYS[store]], row));
      return ask(store, "put", row);
    },
    remove(store, key) {
      changes.push(() => note(store, key));
      return ask(store, "delete", key);
    },
  };
}

function memoryRows() {
  const mark = (store, key) => unsaved.set(`${store} ${key}`, [store, key]);
  return {
    get: async (store, key) => structuredClone(known[store].get(key)),
    all: async (store) => structuredClone([...known[store].values()]),
    async put(store, row) {
      known[store].set(row[KEYS[store]], structuredClone(row));
      mark(store, row[KEYS[store]]);
    },
    async remove(store, key) {
      known[store].delete(key);
      mark(store, key);
    },
  };
}
