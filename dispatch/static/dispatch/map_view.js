/* The Leaflet map without its contents: the ground, streets if there are any, and the view. */

const CITY = 11;
const VIEW = "map view";
const FIT = { padding: [24, 24], maxZoom: 17 };
const still = matchMedia("(prefers-reduced-motion: reduce)");

export const coarse = matchMedia("(pointer: coarse)").matches;

/* `onShown`: called when the map gets a size, such as when its tab is opened. */
export function createMap(element, onShown) {
  const { tiles, attribution } = element.dataset;
  const moves = !still.matches;
  const map = L.map(element, {
    attributionControl: Boolean(tiles),
    keyboard: false,
    minZoom: 3,
    maxZoom: 19,
    // Tiles are sharp at whole levels only.
    zoomSnap: tiles ? 1 : 0.25,
    wheelPxPerZoomLevel: 100,
    zoomAnimation: moves,
    fadeAnimation: moves,
    markerZoomAnimation: moves,
    inertia: moves,
  });
  L.control.scale({ imperial: false }).addTo(map);
  if (tiles) addTiles(map, tiles, attribution);
  const save = () => remember(map);
  new ResizeObserver(() => {
    const wasHidden = isHidden(map);
    // The first view of a newly opened tab is no one's choice: do not remember it.
    if (wasHidden) map.off("moveend", save);
    map.invalidateSize({ pan: false });
    map.on("moveend", save);
    if (wasHidden && !isHidden(map)) onShown();
  }).observe(element);
  map.on("moveend", save);
  return map;
}

function addTiles(map, address, attribution) {
  map.attributionControl.setPrefix(false);
  // Tile servers ask which site uses them. They learn its origin, not the page.
  const options = { attribution, maxZoom: 19, referrerPolicy: "strict-origin-when-cross-origin" };
  L.tileLayer(address, options).addTo(map);
}

/* True if the map can show all these points at a zoom that keeps stations apart. */
export function holds(map, points) {
  return map.getBoundsZoom(L.latLngBounds(points)) >= CITY;
}

function isHidden(map) {
  return !map.getSize().x;
}

export function fit(map, points) {
  const bounds = L.latLngBounds(points);
  if (isHidden(map)) map.setView(bounds.getCenter(), CITY);
  else map.fitBounds(bounds, { ...FIT, animate: !still.matches });
}

/* Brings a point into view, close enough to tell it from its neighbours. */
export function show(map, point, zoom) {
  if (map.getZoom() < zoom) map.setView(point, zoom, { animate: !still.matches });
  else map.panInside(point, { padding: [40, 40], animate: !still.matches });
}

function remember(map) {
  if (isHidden(map)) return;
  const { lat, lng } = map.getCenter();
  sessionStorage.setItem(VIEW, JSON.stringify([lat, lng, map.getZoom()]));
}

/* Returns to the last view of this tab. False: there is none. */
export function restore(map) {
  const saved = sessionStorage.getItem(VIEW);
  if (!saved) return false;
  const [lat, lng, zoom] = JSON.parse(saved);
  map.setView([lat, lng], zoom, { animate: false });
  return true;
}
