/* Requests to the service. Only an answer that is certainly ours counts: networks answer too. */

const DEADLINE_MS = 20_000;
const MAX_WAIT_S = 300;

/* The address of the page, below which all requests go: /crew/, also on /crew/join. */
export const BASE = new URL(".", location.href).pathname;

/* No answer of ours: the network failed or answered itself, or the answer was lost on its way.
   The server may have done what was asked. */
export class NoNetwork extends Error {
  retryAfter = null;
}

/* `body`: sends a POST. `key`: its idempotency key. `keepalive`: sent even if the page closes.
   Returns status, data and retryAfter (seconds or null); throws NoNetwork. */
export async function call(path, { body, key, keepalive = false } = {}) {
  const headers = { "X-Crew": "1" };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  try {
    const response = await fetch(`${BASE}api/${path}`, {
      method: body ? "POST" : "GET",
      body: body && JSON.stringify(body),
      headers,
      keepalive,
      redirect: "error",
      cache: "no-store",
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    return await read(response);
  } catch (error) {
    throw error instanceof NoNetwork ? error : new NoNetwork(error.message);
  }
}

async function read(response) {
  const retryAfter = secondsToWait(response);
  const type = response.headers.get("Content-Type") ?? "";
  if (!type.startsWith("application/json") || !response.headers.has("X-Request-ID")) {
    throw Object.assign(new NoNetwork("Not an answer of the service."), { retryAfter });
  }
  const data = await response.json();
  if (data === null || typeof data !== "object") throw new NoNetwork("Not an answer of the service.");
  return { status: response.status, data, retryAfter };
}

/* Limited: a proxy that asks for a day must not keep reports for a day. */
function secondsToWait(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return seconds >= 0 ? Math.min(seconds, MAX_WAIT_S) : null;
}
