// The answer of a query with figures: a table, and above it a chart when the figures are over time.

import { drawOverTime } from "./chart.js";
import { button, element } from "./dom.js";
import { bySeverity, severityClass } from "./histogram.js";
import { canFilter } from "./query_text.js";
import { eventTime } from "./time_range.js";

const MOST_SERIES = 8;
const NONE = "none";
const isNumeric = ({ type }) => type === "number" || type === "integer";

/** Show a table; `onValue(field, value)` is called for a cell of a field that is clicked. */
export function showTable(holder, { columns, rows }, onValue) {
  const chart = overTime(columns, rows);
  holder.replaceChildren();
  if (chart) {
    const drawing = element("div", { class: "chart" });
    holder.append(drawing, element("div", { class: "keys" }, ...chart.series.map(key)));
    new ResizeObserver(() => drawOverTime(drawing, chart)).observe(drawing);
  }
  const scroll = { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" };
  holder.append(element("div", scroll, table(columns, rows, onValue)));
}

function table(columns, rows, onValue) {
  const most = columns.map((_, at) => rows.reduce((top, row) => Math.max(top, finite(row[at]) ?? 0), 0));
  const barred = columns.findLastIndex((column, at) => isNumeric(column) && most[at] > 0);
  const head = columns.map((column) =>
    element("th", { scope: "col", class: isNumeric(column) ? "figure" : null }, column.name));
  const body = rows.map((row) => element("tr", {}, ...columns.map((column, at) => {
    const made = cell(column, row[at], onValue);
    if (at === barred) {
      made.classList.add("barred");
      made.style.setProperty("--share", `${(100 * Math.max(finite(row[at]) ?? 0, 0)) / most[at]}%`);
    }
    return made;
  })));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

function cell(column, value, onValue) {
  if (value === null) return element("td", { class: "quiet" }, "–");
  if (column.type === "time") return element("td", { title: value }, eventTime(value).join(" "));
  if (isNumeric(column)) return element("td", { class: "figure" }, figure(value));
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (!canFilter(column.name, value)) return element("td", {}, text);
  const attributes = { class: "value", title: "Show the events with this value" };
  return element("td", {}, button(text, attributes, () => onValue(column.name, value)));
}

/** Arrange rows with a column of times as series: one for each figure, or for each group of the first figure. */
function overTime(columns, rows) {
  const time = columns.findIndex(({ type }) => type === "time");
  const figures = columns.flatMap((column, at) => (isNumeric(column) ? [at] : []));
  const groups = columns.flatMap((column, at) => (column.type === "text" ? [at] : []));
  if (time < 0 || !figures.length || columns.some(({ name }) => name === "seq") || rows.length < 2) return null;
  const distinct = new Set(rows.map((row) => Date.parse(row[time])));
  const times = [...distinct].filter(Number.isFinite).sort((one, other) => one - other);
  const stepMs = times.slice(1).reduce((least, at, before) => Math.min(least, at - times[before]), Infinity);
  const all = regular(times, stepMs);
  if (!all) return null;
  const found = new Map();
  for (const row of rows) {
    const at = all.indexOf.get(Date.parse(row[time]));
    const group = groups.map((each) => row[each] ?? NONE).join(" ");
    for (const figureAt of groups.length ? figures.slice(0, 1) : figures) {
      const name = groups.length ? group : columns[figureAt].name;
      if (!found.has(name)) found.set(name, all.times.map(() => null));
      found.get(name)[at] = finite(row[figureAt]);
    }
  }
  const words = `Over time: ${[...found.keys()].slice(0, 20).join(", ")}`;
  return { times: all.times, stepMs, ...drawing(columns[figures[0]].name, found), words };
}

/** Fill the gaps between times that are a step apart; null when they are not, or too many. */
function regular(times, stepMs) {
  const count = Math.round((times.at(-1) - times[0]) / stepMs) + 1;
  if (!(count > 1 && count <= 5000) || times.some((at) => (at - times[0]) % stepMs)) return null;
  const all = Array.from({ length: count }, (_, at) => times[0] + at * stepMs);
  return { times: all, indexOf: new Map(all.map((time, at) => [time, at])) };
}

function drawing(measure, found) {
  const total = (values) => values.reduce((sum, value) => sum + (value ?? 0), 0);
  const largest = [...found].sort((one, other) => total(other[1]) - total(one[1])).slice(0, MOST_SERIES);
  const series = largest.map(([name, values], at) => {
    const severity = severityClass(name);
    return { name, values, className: severity === "s-none" && name !== NONE ? `c${at}` : severity };
  });
  return { series: bySeverity(series), stacked: measure === "count" || measure === "sum" };
}

const key = ({ name, className }) => element("span", { class: `key ${className}` }, name);
const finite = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);

function figure(value) {
  if (typeof value !== "number") return String(value);
  return value.toLocaleString("en", Number.isInteger(value) ? {} : { maximumSignificantDigits: 6 });
}
