/* The single Tab stop among the stations: arrow keys move it, Enter opens its station. Each station
   gets a new button, so that screen readers announce it. */

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ZOOMS = { "+": 1, "=": 1, "-": -1 };

export class Cursor {
  /* `describe(station)`: its name and state. `onOpen(station, button)`: Enter was pressed. */
  constructor(map, stations, { describe, onOpen }) {
    this.map = map;
    this.stations = stations;
    this.describe = describe;
    this.onOpen = onOpen;
    map.getContainer().addEventListener("keydown", (event) => this.onKey(event));
  }

  get station() {
    return this.stations.byId.get(this.number);
  }

  get button() {
    return this.marker?.getElement();
  }

  moveTo(station, { focus = false } = {}) {
    const old = this.marker;
    if (old && station.id === this.number) {
      old.setLatLng(station.at);
      return;
    }
    const icon = L.divIcon({ className: "station-cursor", iconSize: [26, 26] });
    this.number = station.id;
    this.marker = L.marker(station.at, { icon, autoPanOnFocus: false }).addTo(this.map);
    this.button.dataset.station = station.id;
    this.refresh();
    if (focus) this.button.focus({ preventScroll: true });
    old?.remove();
  }

  /* Stay at the station, or go to the most urgent one in view. */
  refresh() {
    if (!this.station) {
      const view = this.map.getBounds();
      const urgent = this.stations.inOrder().reverse();
      const start = urgent.find(({ at }) => view.contains(at)) ?? urgent[0];
      if (start) this.moveTo(start);
      return;
    }
    this.button.setAttribute("aria-label", this.describe(this.station));
    this.select(this.selected);
  }

  /* Mark the station whose card is open: its number, or null. */
  select(number) {
    this.selected = number;
    this.button?.classList.toggle("selected", number === this.number);
  }

  onKey(event) {
    if (event.target !== this.button || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") this.onOpen(this.station, this.button);
    else if (event.key in ZOOMS) this.map.setZoomAround(this.station.at, this.map.getZoom() + ZOOMS[event.key]);
    else if (event.key in DIRECTIONS) this.step(DIRECTIONS[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  step(direction) {
    const next = this.stations.next(this.station, direction);
    if (!next) return;
    this.moveTo(next, { focus: true });
    this.map.panInside(next.at, { padding: [40, 40], animate: false });
  }
}
