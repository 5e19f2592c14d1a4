/* Remembers the calls that this browser has announced. Transactions of the browser's database exclude
   one another in all tabs, so a call is announced by one of them. */

const NAME = "board calls";
const KEPT_MS = 24 * 60 * 60 * 1000;
const NOTHING = { fresh: [], well: [] };
// A feed that fails again has the same key: it is forgotten when the feed is well.
const FEED = "feed ";

let database;
let memory;

/* `keys`: those of all present calls. `at`: the server's time of that list, in milliseconds.
   Returns the keys that are new, and the keys of the feeds that are well again. The first list of a
   browser has no news; neither has one that is older than the last. */
export async function takeNews(keys, at) {
  try {
    return await inDatabase(keys, at);
  } catch {
    // Some private windows have no database. There, each tab announces.
    const { news, next } = compare(memory, keys, at);
    memory = next;
    return news;
  }
}

async function inDatabase(keys, at) {
  database ??= open();
  const rows = (await database).transaction(NAME, "readwrite").objectStore(NAME);
  const { news, next } = compare(await result(rows.get(NAME)), keys, at);
  await result(rows.put(next, NAME));
  return news;
}

function compare(last, keys, at) {
  if (last && at < last.at) return { news: NOTHING, next: last };
  const seen = new Map(last?.seen);
  const fresh = keys.filter((key) => !seen.has(key));
  const well = [...seen.keys()].filter((key) => key.startsWith(FEED) && !keys.includes(key));
  for (const key of well) seen.delete(key);
  for (const key of keys) seen.set(key, at);
  for (const [key, when] of seen) if (when < at - KEPT_MS) seen.delete(key);
  return { news: last ? { fresh, well } : NOTHING, next: { at, seen } };
}

function open() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(NAME);
  return result(request);
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
