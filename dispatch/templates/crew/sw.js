{% autoescape off %}/* Serves the crews' page from the phone, whole and of one version. It sends nothing: the page does. */
const PREFIX = "crew {{ scope|escapejs }} ";
const CACHE = PREFIX + "{{ version }}";
const SHELL = "{{ scope|escapejs }}";
const PAGES = [SHELL, `${SHELL}join`];
// The SHA-256 of each file, by address.
const FILES = new Map([
{% for address, digest in digests.items %}  ["{{ address|escapejs }}", "{{ digest }}"],
{% endfor %}]);

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("message", ({ data }) => {
  if (data === "activate") self.skipWaiting();
});
self.addEventListener("fetch", (event) => {
  const address = addressOf(event.request);
  if (address) event.respondWith(answer(address, event.request));
});

/* All or nothing: a failure leaves the previous version in place, and browsers try again later. */
async function fill() {
  const answers = await Promise.all([...FILES].map(([address, digest]) => download(address, digest)));
  const cache = await caches.open(CACHE);
  await Promise.all(answers.map(([address, response]) => cache.put(address, response)));
}

/* The digest refuses a hotel's login page, and a file of another version during a deploy. */
async function download(address, digest) {
  const response = await fetch(address, { cache: "reload", redirect: "error", credentials: "omit" });
  const body = await response.clone().arrayBuffer();
  if (!response.ok || (await sha256(body)) !== digest) throw new Error(`Not the expected file: ${address}`);
  return [address, response];
}

async function sha256(body) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function takeOver() {
  const names = await caches.keys();
  const former = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(former.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/* The cached file that answers a request; undefined for all that only the server can answer. */
function addressOf({ method, mode, url }) {
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== self.location.origin) return undefined;
  if (mode === "navigate") return PAGES.includes(pathname) ? SHELL : undefined;
  return FILES.has(pathname) && pathname !== SHELL ? pathname : undefined;
}

/* Browsers may drop the cache under storage pressure, or fail to read it. */
async function answer(address, request) {
  const options = { cacheName: CACHE, ignoreVary: true };
  const kept = await caches.match(address, options).catch(() => undefined);
  return kept ?? fetch(request);
}
{% endautoescape %}
