/* Makes what is on the page like new markup, element by element, so that what is ticked, typed,
   opened, focused or scrolled stays as it is. Elements are the same if they have the same id. */

// What people and the other scripts set; the server does not know it.
const OURS = new Set(["open", "hidden", "tabindex"]);
const held = new WeakMap();
const pointer = matchMedia("(hover: hover)");

export function update(part, wanted) {
  const active = document.activeElement;
  const row = part.contains(active) ? active.closest("[id]") : null;
  const next = row && neighbours(row);
  if ("steady" in part.dataset && pointer.matches && part.matches(":hover")) {
    keepInPlace(part, wanted);
  } else {
    held.delete(part);
    tell(part, 0);
    morph(part, wanted);
  }
  if (!row) return;
  // Moving an element takes its focus; where it is gone, its neighbour is next, never its button.
  if (!active.isConnected) next.find((each) => each.isConnected)?.focus({ preventScroll: true });
  else if (document.activeElement !== active) active.focus({ preventScroll: true });
}

/* Once the pointer has left. */
export function releaseHeld(part) {
  const wanted = held.get(part);
  if (wanted) update(part, wanted);
}

function neighbours(row) {
  const top = row.closest("[tabindex]") ?? row;
  const found = [];
  for (let each = top.nextElementSibling; each; each = each.nextElementSibling) found.push(each);
  for (let each = top.previousElementSibling; each; each = each.previousElementSibling) found.push(each);
  return found;
}

/* While the pointer is over a list its rows stay where they are, lest a click hits another one: what
   is gone is dimmed, what is new is counted. */
function keepInPlace(part, wanted) {
  held.set(part, wanted.cloneNode(true));
  const rows = new Map([...wanted.children].map((row) => [row.id, row]));
  for (const row of part.children) {
    const now = rows.get(row.id);
    if (now) align(row, now);
    row.classList.toggle("gone", !now);
    row.inert = !now;
    rows.delete(row.id);
  }
  tell(part, [...rows.keys()].filter((id) => !id.endsWith("-none")).length);
}

function tell(part, count) {
  let note = part.previousElementSibling;
  if (!note?.classList.contains("held")) {
    if (!count) return;
    note = document.createElement("p");
    note.className = "held quiet";
    note.setAttribute("role", "status");
    part.before(note);
  }
  note.textContent = count ? `${count} more when the pointer leaves this list` : "";
}

function morph(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.children) if (child.id) keyed.set(child.id, child);
  let place = parent.firstChild;
  for (const node of [...wanted.childNodes]) {
    const same = node.id ? keyed.get(node.id) : place && alike(place, node) ? place : null;
    if (!same) {
      parent.insertBefore(node, place);
    } else {
      if (same === place) place = place.nextSibling;
      else move(parent, same, place);
      align(same, node);
    }
  }
  while (place) {
    const gone = place;
    place = place.nextSibling;
    gone.remove();
  }
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}

function move(parent, node, place) {
  // The newer one keeps focus, and what is open or animated.
  if (parent.moveBefore) parent.moveBefore(node, place);
  else parent.insertBefore(node, place);
}

function align(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  const sameTime = node.nodeName === "TIME" && node.dateTime === wanted.dateTime;
  if (sameTime || node.isEqualNode(wanted)) return;
  for (const { name } of [...node.attributes]) {
    if (!OURS.has(name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!OURS.has(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  morph(node, wanted);
}
