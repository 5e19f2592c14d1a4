/* Times, ages and distances in words. Times are those of the service's time zone. */
import { gettext, locale, ngettext } from "./texts.js";

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

/* A time of the phone's clock, as the server would tell it. */
export function onServer(ms) {
  return ms + clockOffset;
}

/* "14:30", or "Nov 27, 14:30" on another day. */
export function clock(ms) {
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const day = dayOf(ms) === dayOf(now()) ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(locale, { ...time, ...day, timeZone: zone }).format(ms);
}

function dayOf(ms) {
  return new Intl.DateTimeFormat("en", { dateStyle: "short", timeZone: zone }).format(ms);
}

/* "5 minutes ago" */
export function ago(ms) {
  const age = now() - ms;
  if (age < MINUTE) return gettext("just now");
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "always" });
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
  return task ? `${stationName(task.from)} → ${stationName(task.to)}` : gettext("an earlier task");
}
