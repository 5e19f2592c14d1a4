/* A number between two large buttons: no keyboard needed. */
import { h } from "./dom.js";
import { gettext } from "./texts.js";

export function stepper(number, { qty, most }, set) {
  const to = (wanted) => () => set(Math.max(0, Math.min(most, wanted)));
  return h(
    "div.stepper",
    { role: "group", "aria-label": gettext("Bikes moved") },
    step("−", gettext("One fewer"), to(number - 1), number <= 0),
    h("output", { "aria-live": "polite" }, String(number)),
    step("+", gettext("One more"), to(number + 1), number >= most),
    h(
      "div.presets",
      null,
      preset(gettext("None"), to(0), number === 0),
      preset(gettext("All %(n)s", { n: qty }), to(qty), number === qty),
    ),
  );
}

function step(sign, label, onclick, off) {
  const attributes = { type: "button", "aria-label": label, onclick, "aria-disabled": off && "true" };
  return h("button.step", attributes, sign);
}

function preset(label, onclick, chosen) {
  return h("button.chip", { type: "button", onclick, "aria-pressed": String(chosen) }, label);
}
