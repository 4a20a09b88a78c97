// What is looked at, in the address of the page: after the #, so that it stays in the browser.

import { lengthOf, USUAL } from "./time_range.js";

/** Read the address: {query, range, tail}. What makes no sense is left out. */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  return { query: given.get("q") ?? "", range: readRange(given), tail: given.get("tail") === "1" };
}

/** Write the address; "back" leads to what it was, unless it is the same. */
export function writeAddress({ query, range, tail }) {
  const said = new URLSearchParams();
  if (query) said.set("q", query);
  if (range.written) said.set("range", "written");
  else if (range.quick) said.set("range", range.quick);
  else for (const end of ["from", "to"]) said.set(end, new Date(range[end]).toISOString());
  if (tail) said.set("tail", "1");
  const hash = `#${said}`;
  if (hash !== location.hash) history[location.hash ? "pushState" : "replaceState"](null, "", hash);
}

function readRange(given) {
  if (given.get("range") === "written") return { written: true };
  const [from, to] = [Date.parse(given.get("from")), Date.parse(given.get("to"))];
  if (from < to) return { from, to };
  return lengthOf(given.get("range")) ? { quick: given.get("range") } : USUAL;
}
