// The player's surroundings: sound, feed choice, notes over the picture, distance to live.

import { $, fill, setState, setText } from "./dom.js";
import { t } from "./i18n.js";
import { Player } from "./player.js";

const NOTES = {
  connecting: "screenConnecting",
  gone: "screenGone",
  none: "screenNone",
  unsupported: "screenUnsupported",
  blocked: "screenBlocked",
  playing: "",
};

export class Screen {
  constructor() {
    this.video = $("video");
    this.player = new Player(this.video);
    this.player.addEventListener("state", (event) => this.#note(event.detail));
    this.player.addEventListener("step", () => this.#distance());
    $("sound-on").addEventListener("click", () => this.#mute(false));
    $("mute").addEventListener("click", () => this.#mute(!this.video.muted));
    $("volume").addEventListener("input", (event) => {
      this.video.volume = event.target.value / 100;
      this.#mute(this.video.volume === 0);
    });
    $("feed").addEventListener("change", (event) => this.player.play(event.target.value));
    this.video.addEventListener("click", () => this.video.play());
    this.video.addEventListener("resize", () => {
      const { videoWidth, videoHeight } = this.video;
      if (!videoWidth) return;
      $("screen").style.aspectRatio = `${videoWidth} / ${videoHeight}`;
      $("screen").dataset.shape = videoHeight > videoWidth ? "tall" : "wide";
    });
    this.#mute(true);
    this.#note("connecting");
  }

  showStatus(status) {
    const feeds = (status.sinks ?? []).filter((sink) => sink.type === "preview" && sink.state !== "off").map((sink) => sink.name);
    fill($("feed"), feeds.join(), () => feeds.map((name) => new Option(name, name)));
    $("feed-label").hidden = feeds.length < 2;
    if (feeds.length === 0) {
      this.player.play(null);
      this.#note("none");
    } else if (!feeds.includes(this.player.sink)) {
      this.#note("connecting");
      this.player.play(feeds[0]);
    }
  }

  #mute(muted) {
    this.video.muted = muted;
    if (!muted) this.video.play().catch(() => this.#mute(true));
    if (!muted && this.video.volume === 0) this.video.volume = 1;
    $("volume").value = String(muted ? 0 : Math.round(this.video.volume * 100));
    $("sound-on").hidden = !muted || this.player.state !== "playing";
    $("mute").setAttribute("aria-pressed", String(muted));
    setText($("mute"), t(muted ? "unmute" : "mute"));
  }

  #note(state) {
    setState($("screen"), state);
    const word = NOTES[state];
    setText($("screen-note"), word ? t(word) : "");
    $("sound-on").hidden = state !== "playing" || !this.video.muted;
    if (state !== "playing") setText($("behind"), "");
  }

  #distance() {
    const behind = this.player.behind;
    setText($("behind"), behind === null ? "" : t("behind", { seconds: behind.toFixed(1) }));
  }
}
