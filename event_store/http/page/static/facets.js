// The panel of fields: each opens to show its most frequent values, which can become filters.

import { get } from "./api.js";
import { byId, element, filterButtons } from "./dom.js";
import { canFilter } from "./query_text.js";

const VALUES = 10;
const NOT_LISTED = new Set(["time", "seq"]);
const KINDS = [["fixed", "Event"], ["tag", "Tags"], ["field", "Parsed from lines"]];

/** The panel beside the results: `show` the fields of what is searched. */
export class Facets {
  constructor(onFilter) {
    this.onFilter = onFilter;
    this.holder = byId("fields");
    this.opened = new Set(["severity", "source_id"]);
    byId("field-search").addEventListener("input", () => this.narrow());
  }

  /** Show what fields there are within `scope`; fields that were open stay open, with the values that are now true. */
  async show(scope, signal) {
    this.scope = scope;
    this.signal = signal;
    const { fields } = await get("fields", scope, signal);
    const groups = KINDS.map(([kind, title]) => this.group(title, fields.filter((each) => each.kind === kind)));
    this.holder.replaceChildren(...groups);
    this.narrow();
  }

  /** Show that the fields are not known. */
  fail(error) {
    const why = error.column ? null : element("p", { class: "wrong" }, `No fields: ${error.message}`);
    this.holder.replaceChildren(...(why ? [why] : []));
  }

  group(title, fields) {
    const listed = fields.filter(({ name }) => !NOT_LISTED.has(name)).map((each) => this.field(each));
    return element("section", { hidden: !listed.length }, element("h2", {}, title), ...listed);
  }

  field({ name, count }) {
    const counted = count == null ? null : element("span", { class: "count" }, count.toLocaleString("en"));
    const summary = element("summary", {}, element("span", { class: "name" }, name), counted);
    const details = element("details", { "data-field": name }, summary);
    details.addEventListener("toggle", () => this.toggled(details, name));
    details.open = this.opened.has(name);
    return details;
  }

  async toggled(details, field) {
    this.opened[details.open ? "add" : "delete"](field);
    if (!details.open || details.asked) return;
    details.asked = true;
    const list = element("ul", { "aria-label": `Values of ${field}`, "aria-busy": "true" });
    details.append(list);
    try {
      const facet = await get("facets", { ...this.scope, field, limit: VALUES }, this.signal);
      list.append(...this.values(field, facet));
    } catch (error) {
      if (error.name !== "AbortError") list.append(element("li", { class: "wrong" }, error.message));
    }
    list.removeAttribute("aria-busy");
  }

  values(field, { values, other, missing, total }) {
    const rest = [[other, "others"], [missing, "without it"]].filter(([count]) => count);
    return [
      ...values.map(({ value, count }) => this.value(field, value, count, total)),
      ...rest.map(([count, words]) => element("li", { class: "quiet" }, `${count.toLocaleString("en")} ${words}`)),
    ];
  }

  value(field, value, count, total) {
    const possible = canFilter(field, value);
    const text = value === "" ? "(empty)" : String(value);
    const include = { type: "button", class: "value", title: text, onclick: () => this.onFilter(field, value, true) };
    const shown = possible ? element("button", include, text) : element("span", { class: "value", title: text }, text);
    const counted = element("span", { class: "count" }, count.toLocaleString("en"));
    const item = element("li", {}, shown, counted, ...filterButtons(field, value, possible, this.onFilter));
    item.style.setProperty("--share", `${total ? (100 * count) / total : 0}%`);
    return item;
  }

  narrow() {
    const wanted = byId("field-search").value.toLowerCase();
    for (const field of this.holder.querySelectorAll("details")) {
      field.hidden = !field.dataset.field.toLowerCase().includes(wanted);
    }
  }
}
