{% autoescape off %}/* Removes the crews' page from phones: it works online only from now on. */
const PREFIX = "crew {{ scope|escapejs }} ";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(remove()));

async function remove() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(PREFIX)).map((name) => caches.delete(name)));
  await self.registration.unregister();
}
{% endautoescape %}
