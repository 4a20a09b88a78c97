// How many events there were over time, by severity. Dragging over it selects a range.

import { drawOverTime } from "./chart.js";
import { button, byId, drawn } from "./dom.js";
import { moment, stretch } from "./time_range.js";

const SEVERITIES = ["fatal", "error", "warn", "info", "debug", "trace"];
const LEAST_PX = 4;

/** Return the class that colours a severity. */
export const severityClass = (severity) => (SEVERITIES.includes(severity) ? `s-${severity}` : "s-none");

/** Order series by severity, the worst first, those that are none at the end and as they were. */
export function bySeverity(series) {
  const rank = ({ name }) => (SEVERITIES.includes(name) ? SEVERITIES.indexOf(name) : SEVERITIES.length);
  return [...series].sort((one, other) => rank(one) - rank(other));
}

/** The chart above the results: `show` what the store counted; `onZoom` is given (from, to) in ms. */
export class Histogram {
  constructor({ onZoom, onFilter }) {
    this.onFilter = onFilter;
    this.onZoom = onZoom;
    this.holder = byId("histogram");
    this.shown = null;
    this.drag = null;
    new ResizeObserver(() => this.draw()).observe(this.holder);
    this.holder.addEventListener("pointerdown", (event) => this.begin(event));
    this.holder.addEventListener("pointermove", (event) => this.move(event));
    this.holder.addEventListener("pointerup", (event) => this.end(event));
    this.holder.addEventListener("pointercancel", () => this.cancel());
    this.holder.addEventListener("pointerleave", () => this.drag ?? this.say());
  }

  /** Show an answer of /api/timeseries by severity. */
  show({ times, step_ms: stepMs, series }) {
    const counted = bySeverity(series).map(({ name, values }) => ({
      name: name || null,
      values,
      className: severityClass(name),
      total: values.reduce((sum, value) => sum + (value || 0), 0),
    }));
    this.shown = { times, stepMs, stacked: true, series: counted };
    this.total = counted.reduce((sum, { total }) => sum + total, 0);
    this.shown.words = this.words();
    byId("zoom-out").hidden = false;
    this.draw();
    this.say();
    byId("legend").replaceChildren(...counted.filter(({ total }) => total).map((each) => this.legend(each)));
  }

  /** Show that there is nothing to show. */
  fail(error) {
    this.shown = this.scale = null;
    byId("zoom-out").hidden = true;
    this.holder.replaceChildren();
    byId("legend").replaceChildren();
    byId("span").textContent = error.column ? "" : `No counts: ${error.message}`; // the query box points at columns
  }

  /** The range that is shown, in ms; null while nothing is. */
  get range() {
    if (!this.shown?.times.length) return null;
    return { from: this.shown.times[0], to: this.shown.times.at(-1) + this.shown.stepMs };
  }

  draw() {
    if (!this.shown) return;
    const { svg, scale } = drawOverTime(this.holder, this.shown);
    this.scale = scale;
    this.selection = drawn("rect", { class: "selection", y: 0, height: scale?.bottom ?? 0, width: 0 });
    svg.append(this.selection);
  }

  words() {
    if (!this.range) return "No time range";
    const counted = this.shown.series.filter(({ total }) => total);
    const parts = counted.map(({ name, total }) => `${total} ${name ?? "without severity"}`);
    return `${this.counted()}, ${moment(this.range.from)} to ${moment(this.range.to)}: ${parts.join(", ")}`;
  }

  counted() {
    return `${this.total.toLocaleString("en")} events`;
  }

  legend({ name, total, className }) {
    const item = button(`${name ?? "none"} ${total.toLocaleString("en")}`, { class: "key", title: "Filter for" }, () =>
      this.onFilter("severity", name, true));
    item.classList.add(className);
    return item;
  }

  say(at = -1) {
    const { shown, range } = this;
    if (!range) return;
    if (at < 0) {
      byId("span").textContent = `${this.counted()} · ${stretch(range.from, range.to)}`;
      return;
    }
    const there = shown.series.filter(({ values }) => values[at]);
    const counts = there.map(({ name, values }) => `${name ?? "none"} ${values[at]}`).join(", ");
    byId("span").textContent = `${moment(shown.times[at])} · ${counts || "no events"}`;
  }

  begin(event) {
    if (!this.scale || event.button !== 0) return;
    this.drag = this.xOf(event);
    this.holder.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.scale) return;
    const x = this.xOf(event);
    if (this.drag === null) {
      const at = Math.floor((this.scale.timeAt(x) - this.scale.start) / this.shown.stepMs);
      this.say(Math.min(at, this.shown.times.length - 1));
      return;
    }
    const [low, high] = this.times(x);
    this.selection.setAttribute("x", this.scale.x(low));
    this.selection.setAttribute("width", this.scale.x(high) - this.scale.x(low));
    byId("span").textContent = stretch(low, high);
  }

  end(event) {
    if (this.drag === null) return;
    const x = this.xOf(event);
    const far = Math.abs(x - this.drag) >= LEAST_PX;
    const [from, to] = this.times(x).map(Math.round);
    this.cancel();
    if (far && to > from) this.onZoom(from, to);
  }

  cancel() {
    this.drag = null;
    this.selection?.setAttribute("width", 0);
    this.say();
  }

  times(x) {
    return [this.scale.timeAt(this.drag), this.scale.timeAt(x)].sort((one, other) => one - other);
  }

  xOf(event) {
    return event.clientX - this.holder.getBoundingClientRect().left;
  }
}
