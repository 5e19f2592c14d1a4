/* Builds elements and redraws the page with them. People's texts become text nodes, never markup. */

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit"];

/* `tag` may carry classes: "p.warning". Children that are null or false are left out. */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element[key] = value;
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return element;
}

/* A picture beside a text that says the same. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

const PATHS = {
  back: "M15 5l-7 7 7 7",
  menu: "M4 7h16M4 12h16M4 17h16",
  map: "M12 21s-7-6.2-7-11.5a7 7 0 0 1 14 0C19 14.8 12 21 12 21zM12 12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4L2.5 20h19L12 4zM12 10v4.5M12 17.2v.3",
  lost: "M3 3l18 18M2 8.5a15 15 0 0 1 5-2.9M11 5a15 15 0 0 1 11 3.5M5.5 12.3a10 10 0 0 1 4-2.3M14.5 10.2a10 10 0 0 1 4 2.1M9 16a4.5 4.5 0 0 1 6 0M12 19.5v.2",
  up: "M12 19V5M6 11l6-6 6 6",
  message: "M4 5h16v11H9l-5 4z",
  share: "M12 15V3M8 7l4-4 4 4M7 11H5v10h14V11h-2",
};

/* Makes the children of `node` equal to those of `wanted`. Elements stay the same as far as possible,
   so that focus, typed text and scroll positions survive. */
export function redraw(node, wanted) {
  const children = [...node.childNodes];
  const byId = new Map(children.filter((child) => child.id).map((child) => [child.id, child]));
  const kept = new Set();
  let place = node.firstChild;
  for (const child of [...wanted.childNodes]) {
    while (place && kept.has(place)) place = place.nextSibling;
    const same = child.id ? byId.get(child.id) : place && alike(place, child) ? place : null;
    if (!same) {
      kept.add(node.insertBefore(child, place));
    } else {
      if (same === place) place = place.nextSibling;
      else node.insertBefore(same, place);
      kept.add(same);
      align(same, child);
    }
  }
  for (const child of children) if (!kept.has(child)) child.remove();
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}

function align(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...node.attributes]) {
    if (!wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const handler of HANDLERS) node[handler] = wanted[handler];
  redraw(node, wanted);
}
