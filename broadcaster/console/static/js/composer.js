// The prompt box and the buttons beside it. What was typed stays until the daemon has accepted it.

import * as api from "./api.js";
import { $, setState, setText } from "./dom.js";
import { length } from "./format.js";
import { refusal, skipReason, t } from "./i18n.js";
import { Manner } from "./manner.js";

const ARMING_MS = 1500; // Resume stands where Panic stood: a second click in haste must not undo the first

const QUOTED = 16; // characters of a prompt that are enough to know it by
const REMEMBERED = 100; // prompts of this page whose end is still told

const RANK = { viewer: 0, moderator: 1, operator: 2 };

export class Composer {
  /** `changed` is called after a command that alters the state. */
  constructor(link, changed) {
    this.link = link;
    this.changed = changed;
    this.role = "viewer";
    this.panicked = false;
    this.limit = 0;
    this.mine = new Map();
    this.manner = new Manner();
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    $("prompt").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#send();
    });
    $("prompt").addEventListener("input", () => this.#count());
    $("kind").addEventListener("change", () => this.#hint());
    $("interrupt").addEventListener("click", () => this.#command("interrupt", t("interrupted")));
    $("panic").addEventListener("click", () => this.#command("panic", ""));
    $("resume").addEventListener("click", () => this.#command("resume", ""));
    this.#hint();
    this.#count();
    this.#enable();
  }

  setRole(role) {
    this.role = role;
    this.#enable();
    this.#hint();
  }

  /** Longest text the channel takes, in characters; 0 when it did not say. */
  setLimit(limit) {
    this.limit = limit ?? 0;
    this.#count();
  }

  showStatus(status) {
    if (status.panicked && !this.panicked) {
      this.armed = false;
      setTimeout(() => {
        this.armed = true;
        this.#enable();
      }, ARMING_MS);
    }
    this.panicked = Boolean(status.panicked);
    this.#enable();
  }

  /** A prompt of this page that will not be heard: say so, nobody else tells its author. */
  skipped(event) {
    const text = this.mine.get(event.id);
    if (text !== undefined) this.#say("bad", t("skipped", { text, reason: skipReason(event.reason) }));
  }

  get #kind() {
    return document.querySelector("input[name=kind]:checked").value;
  }

  get #resumable() {
    return this.#kind === "say" && $("resumable").checked ? { resumable: true } : {};
  }

  async #send() {
    const text = $("prompt").value.trim();
    if (!text || this.sending || $("send").disabled) return;
    this.sending = true;
    this.#say("", t("sending"));
    const answer = await this.link.request({ type: this.#kind, text, ...this.#resumable, ...this.manner.fields });
    this.sending = false;
    if (answer.type !== "accepted") return this.#refused(answer);
    this.#remember(answer.id, text);
    if ($("prompt").value.trim() === text) $("prompt").value = "";
    this.#count();
    this.#say("good", t("accepted"));
    this.changed();
  }

  #remember(id, text) {
    const start = Array.from(text).slice(0, QUOTED).join("");
    this.mine.set(id, start === text ? text : `${start}…`);
    if (this.mine.size > REMEMBERED) this.mine.delete(this.mine.keys().next().value);
  }

  async #command(type, done) {
    const answer = this.link.state === "open" ? await this.link.request({ type }) : await this.#post(type);
    if (answer.type === "error") return this.#refused(answer);
    this.#say("good", done);
    this.changed();
  }

  /** The brakes work by HTTP too, when the websocket is just being lost. */
  async #post(type) {
    try {
      return await api.command(type);
    } catch (error) {
      return { type: "error", code: error.code, message: error.message };
    }
  }

  #refused(answer) {
    const reason = answer.code === "offline" ? t("offline") : refusal(answer.code, answer.message);
    this.#say("bad", t("notSent", { reason }));
  }

  #say(state, text) {
    setState($("verdict"), state);
    setText($("verdict"), text);
  }

  #hint() {
    const speaks = RANK[this.role] >= RANK.moderator;
    $("resumable-label").hidden = this.#kind !== "say";
    $("prompt").placeholder = t(!speaks ? "viewerPlaceholder" : this.#kind === "say" ? "sayPlaceholder" : "askPlaceholder");
  }

  #count() {
    const count = length($("prompt").value);
    setText($("prompt-count"), this.limit ? `${count} / ${this.limit}` : String(count));
    $("prompt-count").dataset.over = String(this.limit > 0 && count > this.limit);
  }

  #enable() {
    const speaks = RANK[this.role] >= RANK.moderator;
    $("send").disabled = !speaks;
    $("prompt").disabled = !speaks;
    $("interrupt").disabled = !speaks;
    $("panic").disabled = !speaks;
    $("panic").hidden = this.panicked;
    $("resume").hidden = !this.panicked;
    const operator = RANK[this.role] >= RANK.operator;
    $("resume").disabled = !operator || !this.armed;
    const banner = $("panic-banner");
    setText(banner, this.panicked ? `${t("panicOn")} ${t(operator ? "panicOperator" : "panicWait")}` : "");
    banner.hidden = !this.panicked;
  }
}
