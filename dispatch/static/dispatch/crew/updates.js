/* The service worker: it keeps the page's files. A new version waits until the page may be reloaded. */
import { set, tab } from "./model.js";
import { BASE } from "./server.js";

const CACHE = `crew ${BASE} `;

const container = navigator.serviceWorker;
let registering = null;
let registration = null;
let version = null;
let isControlled = Boolean(container?.controller);

container?.addEventListener("controllerchange", () => {
  // The first worker has the files of this page. A later one was activated by another tab.
  if (isControlled) set({ updateReady: true });
  isControlled = true;
  look();
});

/* Registers the worker, and looks for a newer one. */
export async function checkForUpdate() {
  if (!container) return;
  try {
    registering ??= register();
    registration = await registering;
    await registration.update();
  } catch {
    // Without a network. Nothing is registered then at the first visit only.
    if (!registration) registering = null;
  }
  await look();
}

async function register() {
  const registered = await container.register(`${BASE}sw.js`, { scope: BASE, updateViaCache: "none" });
  registered.addEventListener("updatefound", () => watch(registered.installing));
  watch(registered.installing);
  // Nothing has been typed yet.
  if (registered.waiting && isControlled) activate(registered.waiting);
  return registered;
}

function watch(worker) {
  worker?.addEventListener("statechange", look);
}

/* The first cache is that of the version in use; a second one belongs to a version that waits. */
async function look() {
  if (!registration) return;
  const cache = (await caches.keys()).find((name) => name.startsWith(CACHE));
  set({
    canWorkOffline: Boolean(cache && registration.active),
    updateReady: tab.updateReady || Boolean(registration.waiting && registration.active),
    version: cache?.slice(CACHE.length) ?? null,
  });
}

/* Each answer names the version of the page's files. */
export function versionSeen(current) {
  if (version && version !== current) checkForUpdate();
  version = current;
}

/* Reloads the page with the new version, unless a report is being sent. Call it only while no form is
   half filled. */
export function applyUpdate() {
  if (tab.sending || !tab.updateReady) return;
  if (registration?.waiting) activate(registration.waiting);
  else location.reload();
}

function activate(worker) {
  worker.addEventListener("statechange", () => worker.state === "activated" && location.reload());
  worker.postMessage("activate");
}
