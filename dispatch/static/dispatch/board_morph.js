/* Updates a part of the page to new markup, element by element, so that selections, typed text, open
   menus, focus and scroll positions survive. Elements with the same id are the same element. */

// Set by users and scripts; the server does not know about them.
const LOCAL = new Set(["open", "hidden", "tabindex"]);
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
    showHeldCount(part, 0);
    morph(part, wanted);
  }
  if (!row) return;
  // Moving an element loses its focus. If the row is gone, focus its neighbour, never a button.
  if (!active.isConnected) next.find((each) => each.isConnected)?.focus({ preventScroll: true });
  else if (document.activeElement !== active) active.focus({ preventScroll: true });
}

/* Called when the pointer leaves the part. */
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

/* While the pointer is over a list, its rows stay in place so that a click cannot hit another one.
   Rows that are gone are dimmed; new rows are counted. */
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
  showHeldCount(part, [...rows.keys()].filter((id) => !id.endsWith("-none")).length);
}

function showHeldCount(part, count) {
  let note = part.previousElementSibling;
  if (!note?.classList.contains("held")) {
    if (!count) return;
    note = document.createElement("p");
    note.className = "held quiet";
    note.setAttribute("role", "status");
    part.before(note);
  }
  note.textContent = count ? `${count} new, shown when you move the pointer away` : "";
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
  // moveBefore keeps focus, open menus and animations; older browsers lack it.
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
    if (!LOCAL.has(name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!LOCAL.has(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  morph(node, wanted);
}
