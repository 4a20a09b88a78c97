// The search box, and what is wrong with a query, said below the very column.

import { byId } from "./dom.js";

const canvas = document.createElement("canvas").getContext("2d");

/** The input with the query. */
export class QueryBox {
  constructor() {
    this.input = byId("query");
    this.error = byId("error");
    this.at = null;
    this.input.addEventListener("scroll", () => this.place());
    addEventListener("resize", () => this.place());
  }

  get text() {
    return this.input.value;
  }

  set text(text) {
    this.input.value = text;
  }

  /** Say what is wrong; with a column (from 1, in characters) the cursor goes there. */
  complain({ message, suggestion, column }) {
    this.error.hidden = false;
    byId("error-text").textContent = suggestion ? `${message} (${suggestion})` : message;
    this.input.setAttribute("aria-invalid", "true");
    this.at = column ? [...this.text].slice(0, column - 1).join("").length : null; // characters, not UTF-16 units
    byId("caret").hidden = this.at === null;
    if (this.at === null) return;
    this.input.focus();
    this.input.setSelectionRange(this.at, this.at);
    this.place();
  }

  /** Nothing is wrong any more. */
  content() {
    this.error.hidden = true;
    this.at = null;
    this.input.removeAttribute("aria-invalid");
  }

  place() {
    if (this.at === null) return;
    const style = getComputedStyle(this.input);
    canvas.font = style.font;
    const before = canvas.measureText(this.text.slice(0, this.at)).width;
    const start = parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth);
    const most = this.input.clientWidth - start;
    const left = Math.min(Math.max(start + before - this.input.scrollLeft, start), most);
    byId("caret").style.setProperty("left", `${left}px`);
  }
}
