// The list of events, newest first. A row opens to show its fields, each of which can become a filter.

import { element, filterButtons } from "./dom.js";
import { severityClass } from "./histogram.js";
import { canFilter } from "./query_text.js";
import { duration, eventTime } from "./time_range.js";

const MOST_ROWS = 1000;
const LONGEST_SUMMARY = 1000;
const NO_FILTERS = new Set(["time", "seq"]);

/** Say whether the columns of an answer are those of events, and not of a table, which may have some of these names. */
export function areEvents(columns) {
  const has = (name, type) => columns.some((each) => each.name === name && (!type || each.type === type));
  return has("time") && has("seq") && has("fields", "object");
}

/** Turn the rows of an answer into events, newest first. */
export function eventsOf({ columns, rows }) {
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]]))).reverse();
}

/** A list that takes new events at its top; it holds a bounded number when they keep coming. `nothing` is for none. */
export class EventList {
  constructor(holder, onFilter, nothing) {
    this.onFilter = onFilter;
    this.list = element("ol", { class: "events", "aria-label": "Events, newest first" });
    this.nothing = element("p", { class: "quiet nothing" }, ...nothing);
    this.seen = new Set();
    holder.replaceChildren(this.list, this.nothing);
  }

  /** Add events that are given newest first; those that are there already are left out. */
  add(events) {
    const rows = [];
    for (const event of events) {
      const row = this.row(event);
      if (this.seen.has(row.key)) continue;
      this.seen.add(row.key);
      rows.push(row);
    }
    this.list.prepend(...rows);
    this.nothing.hidden = this.list.childElementCount > 0;
  }

  /** Let the oldest go, down to what a page can hold. */
  trim() {
    while (this.list.childElementCount > MOST_ROWS) {
      this.seen.delete(this.list.lastChild.key);
      this.list.lastChild.remove();
    }
  }

  row(event) {
    const [day, time] = eventTime(event.time);
    const shownDay = element("span", { class: "day" }, `${day} `);
    const kind = event.severity ?? event.type ?? "";
    const details = element("details", {}, element("summary", {},
      element("time", { datetime: event.time, title: event.time }, shownDay, time),
      element("span", { class: `pill ${severityClass(event.severity)}` }, kind),
      element("span", { class: "source", title: event.source_id }, sourceOf(event)),
      element("span", { class: "said" }, summaryOf(event).slice(0, LONGEST_SUMMARY)),
    ));
    details.addEventListener("toggle", () => this.open(details, event), { once: true });
    const row = element("li", {}, details);
    row.key = `${event.seq} ${event.time}`; // another store's events have the same places
    return row;
  }

  open(details, event) {
    const { fields = {}, message, ...fixed } = event;
    const shown = Object.entries(fixed).map(([name, value]) => [name, value, !NO_FILTERS.has(name)]);
    for (const [name, value] of Object.entries(fields)) shown.push([name, value, !(name in event)]); // else it hides
    const present = shown.filter(([, value]) => value !== null && value !== undefined);
    details.append(element("pre", {}, message || summaryOf(event)));
    details.append(element("dl", { class: "fields" }, ...present.flatMap((each) => this.field(...each))));
  }

  field(name, value, isReachable) {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    const said = text === "" ? "(empty)" : text;
    const shown = name === "duration" && typeof value === "number" ? `${text} (${duration(value)})` : said;
    const buttons = filterButtons(name, value, isReachable && canFilter(name, value), this.onFilter);
    return [
      element("dt", {}, name),
      element("dd", {}, element("span", { class: "filters" }, ...buttons), element("span", { class: "value" }, shown)),
    ];
  }
}

/** Move from one event to the next (1) or the previous one (-1), beginning with the first. */
export function moveFocus(holder, step) {
  const rows = [...holder.querySelectorAll(".events summary, table button")];
  const current = document.activeElement?.closest("li")?.querySelector("summary") ?? document.activeElement;
  const at = rows.indexOf(current);
  const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function sourceOf({ source_id: source, instance_id: instance }) {
  return instance ? `${source ?? ""}/${instance}` : (source ?? "");
}

function summaryOf(event) {
  if (event.message) return event.name ? `${event.name}: ${event.message}` : event.message;
  if (event.duration != null) return `${event.name ?? ""} ${duration(event.duration)}`;
  return [event.name, event.value ?? "", event.unit].filter((part) => part !== "" && part != null).join(" ");
}
