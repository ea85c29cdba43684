// The prompt websocket: messages out with their answers, events in, and a new connection whenever one is lost.

import { Backoff } from "./backoff.js";

const ANSWER_TIMEOUT_MS = 10000;
const SILENCE_MS = 6000; // the daemon sends its status once a second

function address(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}

export class Link extends EventTarget {
  constructor() {
    super();
    this.backoff = new Backoff();
    this.pending = new Map();
    this.serial = 0;
    this.state = "closed";
    this.wanted = false;
    setInterval(() => this.#checkSilence(), 2000);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  open() {
    this.wanted = true;
    this.#connect();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  /** Sends a message and resolves with its answer (`accepted`, `ok` or `error`). */
  request(message) {
    if (this.state !== "open") return Promise.resolve({ type: "error", code: "offline" });
    const ref = `page-${++this.serial}`;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(ref, { type: "error", code: "network" }), ANSWER_TIMEOUT_MS);
      this.pending.set(ref, { resolve, timer });
      this.socket.send(JSON.stringify({ ...message, ref }));
    });
  }

  #connect() {
    clearTimeout(this.timer);
    this.#enter("connecting");
    const socket = new WebSocket(address("/ws"), ["broadcaster.v1"]);
    this.socket = socket;
    socket.onmessage = (event) => {
      this.heard = performance.now();
      this.#receive(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      for (const ref of [...this.pending.keys()]) this.#settle(ref, { type: "error", code: "offline" });
      this.#enter("closed");
      if (event.code === 4401) this.dispatchEvent(new Event("unauthorised"));
      else if (this.wanted) this.timer = setTimeout(() => this.#connect(), this.backoff.next());
    };
  }

  #receive(message) {
    if (message.type === "welcome") {
      this.backoff.reset();
      this.#enter("open");
      this.dispatchEvent(new CustomEvent("welcome", { detail: message }));
    } else if (message.ref && this.pending.has(message.ref)) {
      this.#settle(message.ref, message);
    } else {
      this.dispatchEvent(new CustomEvent("message", { detail: message }));
    }
  }

  #settle(ref, answer) {
    const waiting = this.pending.get(ref);
    if (!waiting) return;
    this.pending.delete(ref);
    clearTimeout(waiting.timer);
    waiting.resolve(answer);
  }

  #enter(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  /** A machine that slept, or a network that changed, leaves a connection that looks open and is dead. */
  #checkSilence() {
    if (this.state === "open" && !document.hidden && performance.now() - this.heard > SILENCE_MS) this.#drop();
  }

  #drop() {
    const dead = this.socket;
    dead.close();
    dead.onclose?.({ code: 1006 });
    dead.onclose = null;
  }

  #hurry() {
    if (this.state !== "closed" || !this.wanted) return;
    this.backoff.reset();
    this.#connect();
  }
}
