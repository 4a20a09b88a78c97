// The page: from what is asked (text, range, tail) to the chart, the fields and the results. Read this file first.

import { readAddress, writeAddress } from "./address.js";
import { get, runQuery } from "./api.js";
import { setUpKeys, setUpPanels, setUpRanges, setUpTheme, setUpToken } from "./chrome.js";
import { button, byId, element } from "./dom.js";
import { areEvents, EventList, eventsOf, moveFocus } from "./events.js";
import { Facets } from "./facets.js";
import { Histogram } from "./histogram.js";
import { QueryBox } from "./query_box.js";
import { joined, parts, withCondition } from "./query_text.js";
import { showTable } from "./table.js";
import { Tail } from "./tail.js";
import { bounds, lengthOf, USUAL } from "./time_range.js";

const LIMITS = [200, 1000, 5000];
const BUCKETS = 80;
const RECOUNT_MS = 10_000;

const asked = readAddress();
const results = byId("results");
const box = new QueryBox();
const histogram = new Histogram({ onZoom: (from, to) => useRange({ from, to }), onFilter: addFilter });
const facets = new Facets(addFilter);
const sayTail = (text) => (byId("tail-status").textContent = text);
const tail = new Tail({ onEvents: showNew, onStatus: sayTail, onError: failed, onRestarted: search });
const showRange = setUpRanges(useRange, () => histogram.range);
let list = null;
let running = new AbortController();
let limit = LIMITS[0];

/** Search for what is asked, in place of what is being searched for. */
async function search() {
  running.abort();
  running = new AbortController();
  tail.stop();
  const { signal } = running;
  const { filter, span, stages } = parts(asked.query);
  const scope = { query: joined({ filter, span, stages: "" }), ...bounds(asked.range) };
  showAsked();
  box.content();
  const said = (place) => (error) => signal.aborted || place.fail(error);
  showCounts(scope, signal).catch(said(histogram));
  facets.show(scope, signal).catch(said(facets));
  try {
    if (asked.tail) await followNew(filter, scope, signal);
    else await showResults({ ...scope, query: asked.query, limit: stages ? LIMITS.at(-1) : limit }, signal);
  } catch (error) {
    if (!signal.aborted) failed(error);
  }
}

/** Show what is asked in the controls, and in the address. */
function showAsked() {
  box.text = asked.query;
  showRange(asked.range);
  byId("tail").setAttribute("aria-pressed", String(asked.tail));
  byId("tail-bar").hidden = !asked.tail;
  showPaused(false);
  document.title = asked.query ? `${asked.query} – Standpipe` : "Standpipe events";
  writeAddress(asked);
}

async function showCounts(scope, signal) {
  histogram.show(await get("timeseries", { ...scope, buckets: BUCKETS, by: "severity" }, signal));
}

async function showResults(parameters, signal) {
  const progress = byId("progress");
  const showLater = setTimeout(() => (progress.hidden = false), 200);
  signal.addEventListener("abort", () => clearTimeout(showLater));
  results.setAttribute("aria-busy", "true");
  progress.value = 0;
  try {
    show(await runQuery(parameters, signal, (done) => (progress.value = done ?? 0)), parameters.limit);
  } finally {
    clearTimeout(showLater);
    if (!signal.aborted) {
      progress.hidden = true;
      results.removeAttribute("aria-busy");
    }
  }
}

function show(answer, most) {
  if (areEvents(answer.columns)) {
    list = newList();
    list.add(eventsOf(answer));
  } else {
    showTable(results, answer, showEventsWith);
  }
  const { rows_scanned: scanned, elapsed_ms: elapsed } = answer.stats ?? {};
  const what = areEvents(answer.columns) ? "events shown" : "rows";
  const said = [`${answer.rows.length.toLocaleString("en")} ${what}`];
  const work = scanned == null ? "" : `${scanned.toLocaleString("en")} scanned in `; // not everybody is told
  if (elapsed != null) said.push(`${work}${Math.round(elapsed)} ms`);
  byId("status").textContent = said.join(" · ");
  byId("warnings").replaceChildren(...(answer.warnings ?? []).map((warning) => element("li", {}, warning)));
  byId("warnings").hidden = !answer.warnings?.length;
  byId("more").hidden = asked.tail || answer.rows.length < most || most === LIMITS.at(-1);
}

/** Follow first, and then show what there is: nothing falls between the two, and what is in both is shown once. */
async function followNew(filter, scope, signal) {
  list = newList();
  byId("status").textContent = "";
  byId("warnings").hidden = byId("more").hidden = true;
  await tail.start(filter);
  if (signal.aborted || !tail.isRunning) return;
  const recount = setInterval(() => {
    const now = { ...scope, ...bounds(asked.range) };
    if (!tail.paused && !document.hidden) showCounts(now, signal).catch(() => {});
  }, RECOUNT_MS);
  signal.addEventListener("abort", () => clearInterval(recount));
  try {
    await showResults({ ...scope, limit: LIMITS[0] }, signal);
  } finally {
    if (!signal.aborted) tail.release();
  }
}

function showNew(events) {
  list.add(events);
  list.trim();
}

/** Make an empty list, with what helps while it stays so. */
function newList() {
  const ways = asked.tail ? ["No events yet: they are shown as they come."]
    : ["No events in this time.", element("br"), button("Twice as long", {}, zoomOut), lastDay()];
  if (!asked.query) ways.push(element("br"), "To send one: ", element("code", {}, "standpipe emit --source shop hello"));
  return new EventList(results, addFilter, ways);
}

function lastDay() {
  return asked.range.quick === "1d" ? null : button("Last day", {}, () => useRange({ quick: "1d" }));
}

function failed(error) {
  if (error.name === "AbortError") return;
  byId("status").textContent = "";
  byId("warnings").hidden = byId("more").hidden = true;
  if (tail.isRunning) return sayWhy(error); // what comes is shown, though nothing before it
  const help = button("What can be asked?", {}, () => byId("help").showModal());
  const shown = error.column ? ["This is no query yet.", element("br"), help] : ["Nothing is shown."];
  results.replaceChildren(element("p", { class: "quiet nothing" }, ...shown));
  sayWhy(error);
}

function sayWhy(error) {
  box.complain(error.status ? error : { message: `The store cannot be reached: ${error.message}` });
}

function ask(changes) {
  Object.assign(asked, changes);
  limit = LIMITS[0];
  scrollTo(0, 0);
  return search();
}

/** Ask for the text in the box. A time range that it holds is the one that counts. */
function askForText() {
  const written = parts(box.text).span !== "";
  const range = written ? { written } : asked.range.written ? USUAL : asked.range;
  ask({ query: box.text.trim(), range });
}

/** Ask for another range, instead of one that is in the text. */
function useRange(range) {
  ask({ query: joined({ ...parts(asked.query), span: "" }), range, tail: asked.tail && Boolean(range.quick) });
}

function zoomOut() {
  const shown = histogram.range;
  if (!shown) return;
  const half = (shown.to - shown.from) / 2;
  useRange({ from: Math.round(shown.from - half), to: Math.round(shown.to + half) });
}

function addFilter(field, value, include) {
  ask({ query: withCondition(asked.query, field, value, include) });
}

function showEventsWith(field, value) {
  ask({ query: joined({ ...parts(withCondition(asked.query, field, value, true)), stages: "" }) });
}

function toggleTail() {
  const range = lengthOf(asked.range.quick) ? asked.range : USUAL;
  if (asked.tail) ask({ tail: false });
  else ask({ tail: true, range, query: joined({ ...parts(asked.query), span: "" }) });
}

function togglePause() {
  if (!asked.tail) return;
  showPaused(!tail.paused);
  tail.pause(!tail.paused);
}

function showPaused(paused) {
  byId("pause").textContent = paused ? "Resume" : "Pause";
  byId("pause").setAttribute("aria-pressed", String(paused));
}

function askForAddress() {
  ask(readAddress());
}

setUpTheme();
setUpPanels();
setUpToken(search);
setUpKeys({
  "/": () => byId("query").select(),
  j: () => moveFocus(results, 1),
  k: () => moveFocus(results, -1),
  t: toggleTail,
  p: togglePause,
  "-": zoomOut,
  "?": () => byId("help").showModal(),
});
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  askForText();
});
byId("tail").addEventListener("click", toggleTail);
byId("pause").addEventListener("click", togglePause);
byId("zoom-out").addEventListener("click", zoomOut);
byId("more").addEventListener("click", () => {
  limit = LIMITS[LIMITS.indexOf(limit) + 1];
  search();
});
addEventListener("popstate", askForAddress);
search();
