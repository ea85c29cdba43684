// How the next prompts are to be said: speed, pitch, voice. Kept until changed, and shown while the box is closed.

import { $, setText } from "./dom.js";
import { t } from "./i18n.js";

const SPEED = { low: 0.5, high: 2, own: 1 };
const PITCH = { low: -6, high: 6, own: 0 };

export class Manner {
  constructor() {
    for (const id of ["speed", "pitch", "voice"]) $(`manner-${id}`).addEventListener("input", () => this.#show());
    $("manner-reset").addEventListener("click", () => this.#reset());
    this.#show();
  }

  /** The fields of a prompt; only what differs from the configured manner. */
  get fields() {
    const fields = {};
    const speed = number("manner-speed", SPEED);
    const pitch = number("manner-pitch", PITCH);
    const voice = $("manner-voice").value.trim();
    if (speed !== SPEED.own) fields.speed = speed;
    if (pitch !== PITCH.own) fields.pitch = pitch;
    if (voice) fields.voice = voice;
    return fields;
  }

  #reset() {
    $("manner-speed").value = String(SPEED.own);
    $("manner-pitch").value = String(PITCH.own);
    $("manner-voice").value = "";
    this.#show();
  }

  #show() {
    const { speed, pitch, voice } = this.fields;
    const parts = [];
    if (speed !== undefined) parts.push(t("mannerSpeedNow", { speed }));
    if (pitch !== undefined) parts.push(t("mannerPitchNow", { pitch: pitch > 0 ? `+${pitch}` : pitch }));
    if (voice !== undefined) parts.push(voice);
    setText($("manner-now"), parts.join(" · "));
  }
}

/** The value of a number field, brought within its bounds; its own value when it holds no number. */
function number(id, { low, high, own }) {
  const value = Number.parseFloat($(id).value);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : own;
}
