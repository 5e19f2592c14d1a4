/* Links that open a place in the phone's navigation app. */
import { h, icon } from "./dom.js";
import { stationName } from "./figures.js";
import { gettext } from "./texts.js";

const ANDROID = /Android/.test(navigator.userAgent);
const APPLE = /iPhone|iPad|Macintosh/.test(navigator.userAgent);

/* Android asks which app to use for a geo: link; no other system knows them. */
export function mapLinks(station) {
  if (station.lat === null || station.lon === null) return null;
  const label = gettext("Open %(station)s in maps", { station: stationName(station) });
  if (!ANDROID) return h("div.maps", null, link(webMap(station), gettext("Open in maps"), label));
  const web = gettext("Map of %(station)s on the web", { station: stationName(station) });
  return h(
    "div.maps",
    null,
    link(geo(station), gettext("Open in maps"), label),
    link(webMap(station), gettext("Web"), web),
  );
}

function link(href, text, label) {
  const elsewhere = href.startsWith("https:") && { target: "_blank", rel: "noopener noreferrer" };
  const attributes = { href, "aria-label": label, ...elsewhere };
  return h("a.button.map", attributes, icon("map"), h("span", null, text));
}

function geo(station) {
  const place = `${station.lat},${station.lon}`;
  return `geo:${place}?q=${place}(${encodeURIComponent(stationName(station))})`;
}

function webMap({ lat, lon }) {
  const place = `${lat},${lon}`;
  if (APPLE) return `https://maps.apple.com/?daddr=${place}`;
  return `https://www.google.com/maps/dir/?api=1&destination=${place}`;
}
