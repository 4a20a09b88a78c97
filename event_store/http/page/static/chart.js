// Charts over time, as SVG: bars in stacks, or lines. Colours come from classes, so that light and dark need no redraw.

import { drawn } from "./dom.js";
import { tick } from "./time_range.js";

const STEPS_MS = [1, 5, 10, 50, 100, 500, 1e3, 5e3, 10e3, 30e3, 60e3, 300e3, 600e3, 1800e3, 3600e3, 10800e3, 21600e3,
  43200e3, 86400e3, 172800e3, 604800e3, 2592000e3, 31536000e3];
const ROUND = [1, 1.2, 1.4, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10];
const MARGIN = { left: 44, right: 8, top: 6, bottom: 18 };
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Where times and values are in a drawing: `x` and `y` say it in pixels, `timeAt` is the way back. */
function scaleOf(holder, { times, stepMs, top }) {
  const [width, height] = [Math.max(holder.clientWidth, 120), Math.max(holder.clientHeight, 60)];
  const [start, end] = [times[0], times.at(-1) + stepMs];
  const inner = width - MARGIN.left - MARGIN.right;
  const bottom = height - MARGIN.bottom;
  return {
    width, height, start, end, bottom, inner,
    x: (time) => MARGIN.left + ((time - start) / (end - start)) * inner,
    y: (value) => bottom - (value / (top || 1)) * (bottom - MARGIN.top),
    timeAt: (x) => Math.min(end, Math.max(start, start + ((x - MARGIN.left) / inner) * (end - start))),
  };
}

/** Draw series over time into an element, in place of what is there; returns the drawing and its scale. */
export function drawOverTime(holder, { times, stepMs, series, stacked, words }) {
  const svg = drawn("svg", { role: "img", "aria-label": words });
  holder.replaceChildren(svg);
  if (!times.length) return { svg, scale: null };
  const top = stacked ? stackTop(times, series) : lineTop(series);
  const scale = scaleOf(holder, { times, stepMs, top });
  svg.setAttribute("viewBox", `0 0 ${scale.width} ${scale.height}`);
  const marks = stacked ? stacks(scale, times, stepMs, series) : series.map((each) => line(scale, times, stepMs, each));
  svg.append(axes(scale, top), ...marks);
  return { svg, scale };
}

function stacks(scale, times, stepMs, series) {
  const bases = times.map(() => 0);
  const width = Math.max(scale.x(times[0] + stepMs) - scale.x(times[0]) - 1, 0.75);
  return series.map(({ className, values }) => {
    let path = "";
    values.forEach((value, at) => {
      if (!(value > 0)) return;
      const [low, high] = [scale.y(bases[at]), scale.y((bases[at] += value))];
      const [x, bottom] = [scale.x(times[at]).toFixed(2), low.toFixed(2)];
      path += `M${x} ${bottom}v${(high - low).toFixed(2)}h${width.toFixed(2)}V${bottom}z`;
    });
    return drawn("path", { class: `bar ${className}`, d: path });
  });
}

function line(scale, times, stepMs, { className, values }) {
  const place = (at) => `${scale.x(times[at] + stepMs / 2).toFixed(2)} ${scale.y(values[at]).toFixed(2)}`;
  const path = values.map((value, at) => {
    if (!Number.isFinite(value)) return "";
    const [before, after] = [Number.isFinite(values[at - 1]), Number.isFinite(values[at + 1])];
    return before ? `L${place(at)}` : `M${place(at)}${after ? "" : "h0.01"}`;
  });
  return drawn("path", { class: `line ${className}`, d: path.join("") });
}

function axes(scale, top) {
  const step = STEPS_MS.find((each) => (scale.end - scale.start) / each <= scale.inner / 80) ?? STEPS_MS.at(-1);
  const shift = new Date(scale.start).getTimezoneOffset() * 60e3; // ticks are round in the time of this machine
  const drawing = drawn("g", { class: "axes", "aria-hidden": "true" });
  for (let at = Math.ceil((scale.start - shift) / step) * step + shift; at < scale.end; at += step) {
    drawing.append(drawn("path", { d: `M${scale.x(at)} ${scale.bottom}v4` }));
    const anchor = scale.x(at) > scale.width - 30 ? "end" : "middle";
    drawing.append(drawn("text", { x: scale.x(at), y: scale.bottom + 15, "text-anchor": anchor }, tick(at, step)));
  }
  for (const value of top > 0 ? [0, top / 2, top] : [0]) {
    drawing.append(drawn("path", { d: `M${MARGIN.left} ${scale.y(value)}H${scale.width - MARGIN.right}` }));
    const said = compact.format(value);
    drawing.append(drawn("text", { x: MARGIN.left - 6, y: scale.y(value) + 4, "text-anchor": "end" }, said));
  }
  return drawing;
}

/** Return the end of the axis for stacks: half of it is a whole number too, since mostly these are counts. */
function stackTop(times, series) {
  const height = (at) => series.reduce((sum, { values }) => sum + (values[at] || 0), 0);
  return Math.ceil(rounded(times.reduce((top, _, at) => Math.max(top, height(at)), 0)) / 2) * 2;
}

function lineTop(series) {
  return rounded(series.reduce((top, { values }) => values.reduce((most, value) => Math.max(most, value), top), 0));
}

/** Return the next round number. */
function rounded(value) {
  if (!(value > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return (ROUND.find((each) => each * power >= value) ?? 10) * power;
}
