// What is around the results: theme, token, help, the choice of a time range, and keys.

import { forgetToken, hasToken, onTokenNeeded } from "./api.js";
import { button, byId } from "./dom.js";
import { asInput, label, lengthOf, QUICK } from "./time_range.js";

const THEMES = { "": "Auto", light: "Light", dark: "Dark" };

/** Let the theme be switched: as the system has it, light, dark. */
export function setUpTheme() {
  const use = (theme) => {
    const known = theme in THEMES ? theme : "";
    document.documentElement.dataset.theme = known;
    byId("theme").textContent = THEMES[known];
    byId("theme").setAttribute("aria-label", `Theme: ${THEMES[known]}`);
    localStorage.setItem("standpipe.theme", known);
  };
  use(localStorage.getItem("standpipe.theme") ?? "");
  byId("theme").addEventListener("click", () => {
    const themes = Object.keys(THEMES);
    use(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length]);
  });
}

/** Ask for a token when the store wants one; `onForgotten` follows when a person asks that it be forgotten. */
export function setUpToken(onForgotten) {
  const [dialog, input] = [byId("token-dialog"), byId("token")];
  let resolve = () => {};
  onTokenNeeded((why) => {
    byId("token-why").textContent = why;
    input.value = "";
    dialog.showModal();
    return new Promise((resolved) => (resolve = resolved)).finally(() => (byId("sign-out").hidden = false));
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    resolve(input.value);
    input.value = "";
    dialog.close();
  });
  byId("token-cancel").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => resolve(null));
  byId("sign-out").hidden = !hasToken();
  byId("sign-out").addEventListener("click", () => {
    forgetToken();
    byId("sign-out").hidden = true;
    onForgotten();
  });
}

/** Let a range be chosen; `shownRange` is asked for {from, to} to begin with. Returns what shows the range in use. */
export function setUpRanges(onRange, shownRange) {
  const popover = byId("ranges");
  const choose = (range) => {
    popover.hidePopover();
    onRange(range);
  };
  for (const [quick, words] of QUICK) {
    byId("quick").append(button(words, { "data-range": quick }, () => choose({ quick })));
  }
  byId("zone").textContent = `Times are of this machine (${Intl.DateTimeFormat().resolvedOptions().timeZone}).`;
  popover.addEventListener("toggle", ({ newState }) => {
    if (newState !== "open") {
      byId("from").value = byId("to").value = "";
      return;
    }
    const below = byId("range").getBoundingClientRect();
    popover.style.setProperty("top", `${below.bottom + 4}px`);
    popover.style.setProperty("left", `${Math.max(8, Math.min(below.left, innerWidth - popover.offsetWidth - 8))}px`);
    const { from, to } = shownRange() ?? { from: Date.now() - lengthOf("15m"), to: Date.now() };
    [byId("from").value, byId("to").value] = [asInput(from), asInput(to)];
  });
  byId("absolute").addEventListener("submit", (event) => {
    event.preventDefault();
    const [from, to] = [Date.parse(byId("from").value), Date.parse(byId("to").value)];
    byId("to").setCustomValidity(from < to ? "" : "The end is not after the start.");
    if (byId("absolute").reportValidity()) choose({ from, to });
  });
  byId("absolute").addEventListener("input", () => byId("to").setCustomValidity(""));
  return (range) => {
    byId("range").textContent = label(range);
    byId("range").setAttribute("aria-label", `Time range: ${label(range)}`);
    for (const each of byId("quick").children) {
      each.setAttribute("aria-pressed", String(each.dataset.range === range.quick));
    }
  };
}

/** Let the panel of fields and the help be opened and closed. */
export function setUpPanels() {
  const header = document.querySelector("header");
  const fit = () => document.documentElement.style.setProperty("--header", `${header.offsetHeight}px`);
  new ResizeObserver(fit).observe(header);
  byId("panel-button").addEventListener("click", () => {
    const open = byId("panel").classList.toggle("open");
    byId("panel-button").setAttribute("aria-expanded", String(open));
  });
  byId("help-button").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address is ours
    byId("results").focus();
  });
}

/** Call what belongs to a key, unless somebody is writing or a dialog is open. */
export function setUpKeys(keys) {
  addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, textarea, select, dialog, [popover]");
    if (event.key === "Escape" && event.target === byId("query")) byId("query").blur();
    if (writing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
}
