/* Updates a part of the page to new markup, element by element, so that selections, typed text, open
   menus, focus and scroll positions survive. Elements with the same id are the same element. */

// Attributes that users and scripts set; the server does not know about them.
const LOCAL = new Set(["open", "hidden", "tabindex", "data-settling", "aria-busy"]);

export function update(part, wanted) {
  keepFocus(part, () => morph(part, wanted));
}

/* Runs a change of a part. Moving an element loses its focus. If the focused row is gone or decided,
   its neighbour gets the focus, never a button. */
export function keepFocus(part, change) {
  const active = document.activeElement;
  const row = part.contains(active) ? active.closest("[id]") : null;
  const next = row && neighbours(row);
  change();
  if (!row) return;
  if (!active.isConnected || active.closest("[inert]")) {
    next.find((each) => each.isConnected && !isDecided(each))?.focus({ preventScroll: true });
  } else if (document.activeElement !== active) active.focus({ preventScroll: true });
}

function isDecided(row) {
  return row.matches(".decided, .gone");
}

function neighbours(row) {
  const top = row.closest("[tabindex]") ?? row;
  const found = [];
  for (let each = top.nextElementSibling; each; each = each.nextElementSibling) found.push(each);
  for (let each = top.previousElementSibling; each; each = each.previousElementSibling) found.push(each);
  return found;
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

export function align(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  const sameTime = node.nodeName === "TIME" && node.dateTime === wanted.dateTime;
  if (sameTime || node.isEqualNode(wanted) || isOpenMenu(node)) return;
  for (const { name } of [...node.attributes]) {
    if (!LOCAL.has(name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (!LOCAL.has(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  morph(node, wanted);
}

/* Its buttons must not change while someone chooses one. */
function isOpenMenu(node) {
  return node.matches("[popover]:popover-open");
}
