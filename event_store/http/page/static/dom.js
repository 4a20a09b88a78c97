// Elements of the page. What comes from the server becomes text nodes and attribute values, never HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of the page that has this id. */
export const byId = (id) => document.getElementById(id);

/** Make an element. `onclick` and its like listen; other attributes are set, unless null or false. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make an element of a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Make a button that shows a text. */
export function button(text, attributes, onclick) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** Make the two buttons that filter for a value and against it, or nothing when no query can say the value. */
export function filterButtons(field, value, canFilter, onFilter) {
  if (!canFilter) return [];
  const shown = value === null ? "no value" : String(value).slice(0, 80);
  const one = (sign, words, include) =>
    button(sign, { class: "filter", "aria-label": `${words} ${field}: ${shown}`, title: words }, () =>
      onFilter(field, value, include));
  return [one("+", "Filter for", true), one("−", "Filter out", false)];
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}
