// The preview: fragmented MP4 from a websocket into a MediaSource, kept close to the live edge.
//
// One connection is one MediaSource: a restarted daemon begins its timestamps and its init segment anew. The first
// byte of a message is its kind: C codec string, I init segment, K fragment that starts with a key picture, D others.

import { Backoff } from "./backoff.js";

const TARGET_S = 0.35; // where playback wants to be behind the newest picture
const CATCH_UP_S = 0.55; // behind more than this, playback runs faster
const JUMP_S = 4; // behind more than this, catching up would take too long
const KEEP_S = 12; // media kept behind the playhead
const SILENCE_MS = 5000; // a preview sends many fragments a second
const STEP_MS = 200;
const BURST_MS = 150; // the cached group of pictures arrives at once; where it ends is the live edge
const JOINING_MS = 3000; // on a slow line the burst takes longer: until then the edge is jumped to
const Source = window.MediaSource ?? window.ManagedMediaSource; // iPhones have only the second

export class Player extends EventTarget {
  constructor(video) {
    super();
    this.video = video;
    this.backoff = new Backoff(300, 5000);
    this.sink = null;
    this.state = "connecting";
    if (!window.MediaSource) video.disableRemotePlayback = true; // a condition of ManagedMediaSource
    setInterval(() => this.#step(), STEP_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.#wake());
    addEventListener("online", () => this.#wake());
  }

  /** Plays the preview sink of this name; null stops. */
  play(sink) {
    if (sink === this.sink) return;
    this.sink = sink;
    this.backoff.reset();
    this.#disconnect();
    if (sink) this.#connect();
  }

  /** Seconds between what is shown and the newest picture in hand; null without a picture. */
  get behind() {
    const end = this.#end();
    return end === null || this.video.readyState < 2 ? null : Math.max(0, end - this.video.currentTime);
  }

  #connect() {
    clearTimeout(this.timer);
    if (!Source) return this.#enter("unsupported");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/preview/${this.sink}`, ["broadcaster.v1"]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = (event) => {
      this.heard = performance.now();
      this.#receive(new Uint8Array(event.data));
    };
    socket.onclose = () => socket === this.socket && this.#lost();
  }

  #receive(message) {
    const payload = message.subarray(1);
    switch (String.fromCharCode(message[0])) {
      case "C":
        this.codec = new TextDecoder().decode(payload);
        break;
      case "I":
        this.#begin(payload);
        break;
      default:
        this.#append(payload);
    }
  }

  /** A fresh MediaSource for an init segment. */
  #begin(init) {
    const mime = this.codec.startsWith("video/") ? this.codec : `video/mp4; codecs="${this.codec}"`;
    if (!Source.isTypeSupported(mime)) {
      this.#disconnect();
      return this.#enter("unsupported");
    }
    this.#discard();
    const source = new Source();
    this.source = source;
    this.waiting = [init];
    this.begun = performance.now();
    this.placed = false;
    this.url = URL.createObjectURL(source);
    source.addEventListener(
      "sourceopen",
      () => {
        URL.revokeObjectURL(this.url);
        if (source !== this.source) return;
        this.buffer = source.addSourceBuffer(mime);
        this.buffer.mode = "segments";
        this.buffer.addEventListener("updateend", () => this.#flush());
        this.#flush();
      },
      { once: true },
    );
    this.video.src = this.url;
  }

  #append(fragment) {
    if (!this.waiting) return;
    this.waiting.push(fragment);
    this.#flush();
  }

  #flush() {
    const buffer = this.buffer;
    if (!buffer || buffer.updating || this.source.readyState !== "open") return;
    this.#place();
    if (this.#trim() || this.waiting.length === 0) return;
    const batch = joined(this.waiting);
    try {
      buffer.appendBuffer(batch);
      this.waiting = [];
    } catch (error) {
      // Full in spite of trimming, or the decoder gave up: start over.
      console.warn("preview: append failed", error.name);
      this.#lost();
    }
  }

  /** The first picture in hand: start at the live edge, not at the start of the cached group of pictures. */
  #place() {
    const end = this.#end();
    if (this.placed || end === null || performance.now() - this.begun < BURST_MS) return;
    this.placed = true;
    this.video.currentTime = Math.max(this.buffer.buffered.start(0), end - TARGET_S);
    this.backoff.reset();
    this.#start();
  }

  /** Drops media long played; in a sleeping tab the playhead stands still, so the end counts too. */
  #trim() {
    const { buffered } = this.buffer;
    if (buffered.length === 0) return false;
    const start = buffered.start(0);
    const keep = Math.max(this.video.currentTime - KEEP_S, this.#end() - 3 * KEEP_S);
    if (keep - start < KEEP_S) return false;
    this.buffer.remove(start, keep);
    return true;
  }

  async #start() {
    try {
      await this.video.play();
      this.#enter("playing");
    } catch (error) {
      if (error.name === "NotAllowedError") this.#enter("blocked");
    }
  }

  /** Keeps the distance to the live edge, and notices what no event tells. */
  #step() {
    const end = this.#end();
    if (this.socket && performance.now() - this.heard > SILENCE_MS) this.#lost();
    if (end === null || !this.placed || document.hidden) return;
    if (this.video.error) return this.#lost();
    const behind = end - this.video.currentTime;
    const inside = this.video.currentTime >= this.buffer.buffered.start(this.buffer.buffered.length - 1) - 0.01;
    const most = performance.now() - this.begun < JOINING_MS ? 1 : JUMP_S;
    if (behind > most || !inside) this.#jump(end);
    else this.video.playbackRate = rate(behind, this.video.playbackRate > 1);
    if (this.video.paused && this.state === "playing") this.#start();
    this.dispatchEvent(new Event("step"));
  }

  #jump(end) {
    this.video.currentTime = end - TARGET_S;
    this.video.playbackRate = 1;
  }

  #wake() {
    if (!this.sink) return;
    if (this.socket === null) {
      this.backoff.reset();
      this.#connect();
      return;
    }
    const end = this.#end();
    if (end !== null && this.placed) {
      if (end - this.video.currentTime > CATCH_UP_S) this.#jump(end);
      this.#start();
    }
  }

  #lost() {
    this.#disconnect();
    this.#enter("gone");
    if (this.sink) this.timer = setTimeout(() => this.#connect(), this.backoff.next());
  }

  #disconnect() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.#discard();
  }

  /** Lets go of the MediaSource; the video keeps its last picture until the next one comes. */
  #discard() {
    this.source = null;
    this.buffer = null;
    this.waiting = null;
    this.placed = false;
  }

  #end() {
    const buffered = this.buffer && this.source?.readyState === "open" ? this.buffer.buffered : null;
    return buffered?.length ? buffered.end(buffered.length - 1) : null;
  }

  #enter(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

/** Playback rate for a distance: 1 near the edge, 1.05 to 1.5 when behind, a little under 1 when about to run dry. */
export function rate(behind, catchingUp) {
  if (behind < 0.1) return 0.95;
  if (behind <= (catchingUp ? TARGET_S : CATCH_UP_S)) return 1;
  return Math.min(1.5, Math.max(1.05, 1 + (behind - TARGET_S) * 0.6));
}

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
