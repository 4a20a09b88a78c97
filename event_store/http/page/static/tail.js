// The live tail: new events as they come, through lost connections. It can be paused, and says how many events were not
// shown, and why.

import { follow } from "./api.js";

const MOST_HELD = 1000;
const SHOW_EVERY_MS = 100;
const AGAIN_MS = [500, 1000, 2000, 5000, 10000];

/**
 * Follows one query at a time. `onEvents` is given new ones, newest first; `onStatus` is given a sentence. `onRestarted`
 * is called when another store answers all at once: this ends then.
 */
export class Tail {
  constructor({ onEvents, onStatus, onError, onRestarted }) {
    Object.assign(this, { onEvents, onStatus, onError, onRestarted, paused: false, waits: false, stopping: null, timer: null });
    this.reset();
  }

  /** Follow a query; resolves when the store follows it, or when that failed. Events wait until `release`. */
  start(query) {
    this.stop();
    this.waits = true;
    this.stopping = new AbortController();
    return new Promise((opened) => this.run(query, this.stopping.signal, opened).finally(opened));
  }

  /** End it, and forget what waits. */
  stop() {
    this.stopping?.abort();
    this.stopping = null;
    this.paused = this.waits = false;
    this.reset();
  }

  /** Show events from now on. */
  release() {
    this.waits = false;
    this.flush();
  }

  /** Hold events back, or let go of those that were held. */
  pause(paused) {
    this.paused = paused;
    this.flush();
  }

  /** Whether it follows something, or tries to. */
  get isRunning() {
    return this.stopping !== null;
  }

  reset() {
    clearTimeout(this.timer);
    Object.assign(this, { timer: null, held: [], shown: 0, dropped: 0, overflowed: 0, breaks: 0, connected: false });
  }

  async run(query, signal, opened) {
    const from = { id: "" };
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        for await (const event of follow({ query }, from, signal, () => this.open(opened))) {
          failures = -1;
          if (event.name === "restarted") return this.restart();
          this.take(event);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status && error.status < 500 && error.status !== 429) {
          this.stop();
          this.onError(error);
          return;
        }
      }
      if (signal.aborted) return;
      if (this.connected) this.breaks++;
      this.connected = false;
      this.say();
      const waitMs = AGAIN_MS[Math.min(Math.max(failures, 0), AGAIN_MS.length - 1)];
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  restart() {
    this.stop();
    this.onRestarted();
  }

  open(opened) {
    this.connected = true;
    this.say();
    opened();
  }

  take({ name, data }) {
    if (name === "dropped") this.dropped += data.count;
    else if (name === "event") this.held.push(data);
    while (this.held.length > MOST_HELD) {
      this.held.shift();
      this.overflowed++;
    }
    this.timer ??= setTimeout(() => this.flush(), SHOW_EVERY_MS);
  }

  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    if (!this.paused && !this.waits && this.held.length) {
      const events = this.held.splice(0).reverse();
      this.shown += events.length;
      this.onEvents(events);
    }
    this.say();
  }

  say() {
    const parts = [this.paused ? "Paused" : this.connected ? "Following" : "Connecting again"];
    if (this.paused) parts.push(`${this.held.length} waiting`);
    else parts.push(`${this.shown.toLocaleString("en")} new`);
    if (this.dropped) parts.push(`${this.dropped.toLocaleString("en")} dropped by the store`);
    if (this.overflowed) parts.push(`${this.overflowed.toLocaleString("en")} dropped here`);
    const breaks = this.breaks === 1 ? "once" : `${this.breaks} times`;
    if (this.breaks) parts.push(`interrupted ${breaks}`);
    this.onStatus(parts.join(" · "));
  }
}
