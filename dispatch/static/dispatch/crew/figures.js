/* Times, ages and distances in words. Times are those of the service's time zone. */
import { gettext, isolate, locale, ngettext } from "./texts.js";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let zone;
let clockOffset = 0;

/* The phone's clock may be wrong; the server's is not. */
export function setClock(view) {
  zone = view.zone ?? undefined;
  clockOffset = view.clockOffset ?? 0;
}

export function now() {
  return Date.now() + clockOffset;
}

/* The server's time in milliseconds. */
export function instant(iso) {
  return Date.parse(iso);
}

/* A time of the phone's clock, by the server's clock. */
export function onServer(ms) {
  return ms + clockOffset;
}

/* "14:30", or "14:30 on Nov 27" if that is another day. */
export function clock(ms) {
  const time = format(ms, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (dayOf(ms) === dayOf(now())) return time;
  return gettext("%(time)s on %(day)s", { time, day: format(ms, { month: "short", day: "numeric" }) });
}

function format(ms, options) {
  return new Intl.DateTimeFormat(locale, { ...options, timeZone: zone }).format(ms);
}

function dayOf(ms) {
  return new Intl.DateTimeFormat("en", { dateStyle: "short", timeZone: zone }).format(ms);
}

/* "5 min. ago" */
export function ago(ms) {
  const age = now() - ms;
  if (age < MINUTE) return gettext("just now");
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "always", style: "short" });
  const [number, unit] = inUnits(age);
  return words.format(-number, unit);
}

/* "5 minutes" */
export function duration(length) {
  const [number, unit] = length < MINUTE ? [Math.ceil(length / 1000), "second"] : inUnits(length);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(number);
}

function inUnits(length) {
  if (length < HOUR) return [Math.floor(length / MINUTE), "minute"];
  if (length < 2 * DAY) return [Math.floor(length / HOUR), "hour"];
  return [Math.floor(length / DAY), "day"];
}

export function distance(km) {
  const options = { style: "unit", unit: "kilometer", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(locale, options).format(km);
}

export function bikes(n) {
  return ngettext("%(n)s bike", "%(n)s bikes", { n });
}

export function stationName(station) {
  return station.name ?? gettext("Station %(id)s", { id: station.id });
}

/* "Ferry Building → Market St" */
export function route(task) {
  if (!task) return gettext("an earlier task");
  return `${isolate(stationName(task.from))} → ${isolate(stationName(task.to))}`;
}
