/* Links the arrows on the map with the rows of the lists: each marks the other. */
import { reveal } from "./board_tabs.js";
import { isolate } from "./map_stations.js";

const ROW = ".row[data-from]";

export class Rows {
  /* `moves`: the arrows, set later. */
  constructor(board, stations) {
    this.board = board;
    this.stations = stations;
    board.addEventListener("pointerover", ({ target }) => target.closest(".move-target") || this.markCurrent());
    board.addEventListener("focusin", () => this.markCurrent());
  }

  /* The moves of the rows, as far as both stations are on the map. */
  read() {
    return [...this.board.querySelectorAll(`${ROW}:not(.gone, .decided)`)].map((row) => this.move(row)).filter(Boolean);
  }

  move(row) {
    const from = this.stations.byId.get(row.dataset.from);
    const to = this.stations.byId.get(row.dataset.to);
    if (!from || !to) return null;
    const label = document.createElement("span");
    const bikes = row.querySelector(".qty").textContent.trim();
    label.append(`${row.dataset.state}: ${bikes}, `, isolate(from.name), " → ", isolate(to.name));
    return { row: row.id, from: from.at, to: to.at, state: row.dataset.state, label };
  }

  mark(row) {
    for (const each of this.board.querySelectorAll(".row.marked")) each.classList.remove("marked");
    row?.classList.add("marked");
    this.moves.mark(row?.id);
  }

  markCurrent() {
    this.mark(this.board.querySelector(`${ROW}:hover`) ?? document.activeElement.closest(ROW));
  }

  goTo(id) {
    const row = document.getElementById(id);
    if (!row) return;
    reveal(row);
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
  }
}
