// The answer of a query with figures: a table, and above it a chart when the figures are over time.

import { drawOverTime } from "./chart.js";
import { button, element } from "./dom.js";
import { bySeverity, severityClass } from "./histogram.js";
import { canFilter } from "./query_text.js";
import { bucketTime, eventTime } from "./time_range.js";

const MOST_SERIES = 8;
const MOST_TIMES = 5000;
const NONE = "none";
const isNumeric = ({ type }) => type === "number" || type === "integer";

/** Show a table; `onValue(field, value)` is called for a cell of a field that is clicked. */
export function showTable(holder, { columns, rows }, onValue) {
  const chart = overTime(columns, rows);
  holder.replaceChildren();
  if (chart) {
    const drawing = element("div", { class: "chart" });
    const left = chart.left ? element("span", { class: "quiet" }, `and ${chart.left.toLocaleString("en")} more`) : null;
    const of = chart.of ? element("span", { class: "quiet" }, `${chart.of} of`) : null;
    holder.append(drawing, element("div", { class: "keys" }, of, ...chart.series.map(key), left));
    new ResizeObserver(() => drawOverTime(drawing, chart)).observe(drawing);
  }
  const scroll = { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" };
  holder.append(element("div", scroll, table(columns, rows, onValue)));
}

function table(columns, rows, onValue) {
  const most = columns.map((_, at) => rows.reduce((top, row) => Math.max(top, finite(row[at]) ?? 0), 0));
  const last = columns.length - 1;
  const barred = isNumeric(columns[last]) && most[last] > 0 ? last : -1; // else it is no table of figures
  const isRound = (at) => rows.every((row) => /:\d\d(?:\.0+)?Z$/.test(row[at] ?? "0:00Z")); // as buckets of time are
  const written = columns.map(({ type }, at) => (type === "time" && isRound(at) ? bucketTime : eventTime));
  const head = columns.map((column) =>
    element("th", { scope: "col", class: isNumeric(column) ? "figure" : null }, column.name));
  const body = rows.map((row) => element("tr", {}, ...columns.map((column, at) => {
    const made = cell(column, row[at], written[at], onValue);
    if (at === barred) {
      made.classList.add("barred");
      made.style.setProperty("--share", `${(100 * Math.max(finite(row[at]) ?? 0, 0)) / most[at]}%`);
    }
    return made;
  })));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

function cell(column, value, written, onValue) {
  if (value === null) return element("td", { class: isNumeric(column) ? "figure quiet" : "quiet" }, "–");
  if (column.type === "time") return element("td", { class: "time", title: value }, written(value).join(" "));
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
  const shown = groups.length ? figures.slice(0, 1) : figures;
  const nameOf = (row, at) => (groups.length ? groups.map((each) => row[each] ?? NONE).join(" ") : columns[at].name);
  const totals = new Map();
  for (const row of rows) {
    for (const at of shown.filter((each) => finite(row[each]) !== null)) {
      totals.set(nameOf(row, at), (totals.get(nameOf(row, at)) ?? 0) + row[at]);
    }
  }
  const largest = [...totals].sort(([, one], [, other]) => other - one).slice(0, MOST_SERIES);
  const found = new Map(largest.map(([name]) => [name, all.times.map(() => null)])); // a column only for what is drawn
  for (const row of rows) {
    const place = all.indexOf.get(Date.parse(row[time]));
    for (const at of shown) if (found.has(nameOf(row, at))) found.get(nameOf(row, at))[place] = finite(row[at]);
  }
  const left = totals.size - found.size;
  const words = `Over time: ${[...found.keys()].join(", ")}`;
  const of = groups.length && figures.length > 1 ? columns[figures[0]].name : "";
  return { times: all.times, stepMs, ...drawing(columns[figures[0]].name, found), words, left, of };
}

/** Fill the gaps between times that are a step apart; null when they are not, or too many. */
function regular(times, stepMs) {
  const count = Math.round((times.at(-1) - times[0]) / stepMs) + 1;
  if (!(count > 1 && count <= MOST_TIMES) || times.some((at) => (at - times[0]) % stepMs)) return null;
  const all = Array.from({ length: count }, (_, at) => times[0] + at * stepMs);
  return { times: all, indexOf: new Map(all.map((time, at) => [time, at])) };
}

function drawing(measure, found) {
  const series = [...found].map(([name, values], at) => {
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
