// Ranges of time: {quick: "15m"}, {from, to} in ms since 1970, or {written: true} for what the query itself says.

export const QUICK = [
  ["5m", "Last 5 minutes"], ["15m", "Last 15 minutes"], ["1h", "Last hour"], ["6h", "Last 6 hours"],
  ["1d", "Last day"], ["7d", "Last 7 days"], ["30d", "Last 30 days"],
];
export const USUAL = { quick: "15m" };

const UNITS_MS = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };
const TWO = (number) => String(number).padStart(2, "0");

/** Return how long a quick range is, in ms, or NaN when it is none. */
export function lengthOf(quick) {
  const read = /^(\d{1,5})([smhdw])$/.exec(quick);
  return read && Number(read[1]) ? read[1] * UNITS_MS[read[2]] : NaN;
}

/** Return `start` and `end` as the API wants them; neither for a range that is written in the query. */
export function bounds(range, now = Date.now()) {
  if (range.written) return {};
  const [from, to] = range.quick ? [now - lengthOf(range.quick), now] : [range.from, range.to];
  return { start: new Date(from).toISOString(), end: new Date(to).toISOString() };
}

/** Say a range in words. */
export function label(range) {
  if (range.written) return "As written";
  if (!range.quick) return stretch(range.from, range.to);
  return QUICK.find(([quick]) => quick === range.quick)?.[1] ?? `Last ${range.quick}`;
}

/** Write a moment in ms, in the time of this machine, to the second. */
export function moment(ms) {
  const at = new Date(ms);
  return `${at.getFullYear()}-${day(at)} ${clock(at)}`;
}

/** Write a stretch of time, with the day once when it is the same. */
export function stretch(from, to) {
  const [start, end] = [moment(from), moment(to)];
  return `${start} – ${start.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end}`;
}

/** Write the time of an event as [day, time of day to the ms], in the time of this machine. */
export function eventTime(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return ["", String(iso)];
  return [day(at), `${clock(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`];
}

/** Write a time that has no fraction of a second, alike. */
export function bucketTime(iso) {
  const [day, time] = eventTime(iso);
  return [day, time.replace(/\.\d+$/, "")];
}

/** Write a tick of an axis whose ticks are `step` ms apart. */
export function tick(ms, step) {
  const at = new Date(ms);
  if (step >= UNITS_MS.d) return day(at);
  const time = step < UNITS_MS.m ? clock(at) : clock(at).slice(0, 5);
  return at.getHours() + at.getMinutes() + at.getSeconds() === 0 ? day(at) : time;
}

/** Return a moment as an input of type datetime-local has it. */
export function asInput(ms) {
  return moment(ms).replace(" ", "T");
}

/** Write nanoseconds in the unit that suits them. */
export function duration(ns) {
  const [unit, size] = [["s", 1e9], ["ms", 1e6], ["µs", 1e3]].find(([, size]) => Math.abs(ns) >= size) ?? ["ns", 1];
  return `${Number((ns / size).toPrecision(4))} ${unit}`;
}

const day = (at) => `${TWO(at.getMonth() + 1)}-${TWO(at.getDate())}`;
const clock = (at) => `${TWO(at.getHours())}:${TWO(at.getMinutes())}:${TWO(at.getSeconds())}`;
