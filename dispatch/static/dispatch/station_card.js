/* The card of one station, beside the map. */
import { update } from "./board_morph.js";
import { reveal } from "./board_tabs.js";

export class StationCard {
  /* `onChange(number or null)`: another station's card is open, or none. */
  constructor(board, showAges, onChange) {
    this.board = board;
    this.showAges = showAges;
    this.onChange = onChange;
    this.element = document.getElementById("station-panel");
    this.noReply = document.getElementById("no-reply");
    this.number = this.element.hidden ? null : new URLSearchParams(location.search).get("station");
    this.element.addEventListener("click", (event) => {
      if (!event.target.closest(".close")) return;
      event.preventDefault();
      this.close();
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /* `opener` gets the focus back when the card is closed. */
  async open(number, opener) {
    if (number !== this.number) this.element.replaceChildren();
    this.number = number;
    this.opener = opener;
    await this.refresh();
    if (number !== this.number) return;
    this.element.hidden = false;
    this.onChange(number);
    this.element.scrollIntoView({ block: "nearest" });
    this.element.focus({ preventScroll: true });
  }

  close() {
    this.number = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.onChange(null);
    if (!this.opener?.isConnected) return;
    reveal(this.opener);
    this.opener.focus();
  }

  async refresh() {
    const number = this.number;
    if (!number) return;
    const template = document.createElement("template");
    template.innerHTML = await this.read(number).catch(() => "");
    if (number !== this.number) return;
    if (template.innerHTML) update(this.element, template.content);
    // A card that already shows the station stays: its age is in it.
    else if (!this.element.hasChildNodes()) this.element.append(this.noReply.content.cloneNode(true));
    this.showAges();
  }

  async read(number) {
    const response = await fetch(`${this.board.dataset.stations}${number}/`, { redirect: "manual" });
    return response.ok || response.status === 404 ? response.text() : "";
  }
}
