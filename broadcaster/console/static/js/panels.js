// Everything that only shows: tally, now and next, health, outputs, queue, as-run log.

import { $, element, fill, setState, setText } from "./dom.js";
import { clockTime, duration, timecode } from "./format.js";
import { promptKind, t } from "./i18n.js";

const SINK_STATES = {
  off: ["stateOff", "off"],
  paused: ["statePaused", "warn"],
  connecting: ["stateConnecting", "warn"],
  live: ["stateLive", "good"],
  waiting: ["stateWaiting", "warn"],
  suspended: ["stateSuspended", "bad"],
  failed: ["stateFailed", "bad"],
};

/** Shows one `/api/status`. */
export function showStatus(status) {
  setText($("channel"), status.channel ?? "");
  showTally(status);
  showSpeech(status);
  showHealth(status);
  showSinks(status.sinks ?? []);
  showQueue(status);
}

/** Nothing is known: the daemon does not answer. */
export function showUnknown() {
  setState($("tally"), "off");
  setText($("tally-text"), t("offAir"));
}

function showTally(status) {
  const state = status.panicked ? "panic" : status.clock?.connected ? "air" : "off";
  setState($("tally"), state);
  setText($("tally-text"), t({ panic: "panicState", air: "onAir", off: "offAir" }[state]));
}

function showSpeech(status) {
  const now = status.now;
  const state = !now ? "idle" : now.text ? "talking" : "thinking";
  setState($("speaking"), state);
  setText($("speaking-title"), t(state === "thinking" ? "nowThinking" : "nowTitle"));
  setText($("now"), state === "idle" ? t("nowIdle") : now.text || "…");
  const next = status.next?.[0];
  setText($("next"), next ? next.text : t("nothingNext"));
}

function showHealth(status) {
  const { clock = {}, voice = {}, head = {}, brain = {}, journal = {} } = status;
  const rows = [
    row("clock", clock.connected ? "good" : "bad", clock.connected
      ? [timecode(clock.tick, clock.fps || 25), t("clockFigures", { fps: clock.fps, encoder: clock.encoder || "–" }), clock.held_ticks ? t("heldFigures", { held: clock.held_ticks }) : ""]
      : [t("away")]),
    row("voice", voice.degraded ? "warn" : voice.error ? "bad" : "good", [voice.engine || t("connected"), voice.degraded ? t("degraded") : "", voice.error]),
    row("head", !head.connected ? "bad" : head.degraded ? "warn" : "good", !head.connected ? [t("away")]
      : [t("renderFigures", { engine: head.engine, ms: Number(head.render_ms ?? 0).toFixed(1) }), head.degraded ? t("degraded") : "", head.step === "half" || head.step === "third" ? t("thinned") : "", head.note]),
    row("brain", brain.degraded ? "warn" : "good", [brain.engine, brain.rule_based ? t("ruleBased") : "", brain.degraded ? t("degraded") : "", brain.error, cost(brain.budget),
      ...(brain.end_to_end || []).filter((guest) => guest.error).map((guest) => `${guest.name}: ${guest.error}`)]),
  ];
  for (const source of status.sources ?? []) {
    if (source.state !== "off") rows.push(row("source", SINK_STATES[source.state]?.[1] ?? "off", [source.name, t(SINK_STATES[source.state]?.[0] ?? "stateOff"), t("postFigures", { count: source.received, paid: source.paid }), source.error || source.note]));
  }
  const turn = status.turn;
  if (turn) rows.push(row("latency", turn.late ? "warn" : "good", [t("turnFigures", { seconds: (turn.own_ms / 1000).toFixed(1) }), turn.late ? t("lateFigures", { late: turn.late }) : ""]));
  if (journal.ok === false) rows.push(row("journal", "bad", [journal.error || t("degraded")]));
  fill($("health"), JSON.stringify(rows), () => rows.flatMap(({ name, state, text }) => {
    const term = element("dt");
    term.append(element("span", "dot", "", { state }), t(name));
    return [term, element("dd", "", text)];
  }));
}

function cost(budget) {
  return budget?.spent || budget?.limit != null ? t("costFigures", { spent: budget.spent.toFixed(2), limit: budget.limit ?? "∞", currency: budget.currency }) : "";
}

function row(name, state, parts) {
  return { name, state, text: parts.filter(Boolean).join(" · ") };
}

function showSinks(sinks) {
  setText($("sinks-count"), sinks.length ? String(sinks.length) : "");
  fill($("sinks"), JSON.stringify(sinks), () => (sinks.length ? sinks.map(sinkItem) : [element("li", "empty", t("noSinks"))]));
}

function sinkItem(sink) {
  const item = element("li", "sink", "", { sink: sink.name });
  const head = element("div", "sink-head");
  let [word, state] = SINK_STATES[sink.state] ?? ["stateFailed", "bad"];
  if (sink.state === "live" && sink.type === "file") word = "stateRecording";
  head.append(element("span", "sink-name", sink.name), element("span", "sink-type", sink.type), element("span", "sink-state", t(word), { state }));
  item.append(head);
  if (sink.address) item.append(element("div", "sink-address", sink.address));
  if (state !== "off") {
    const figures = element("div", "sink-figures");
    figures.append(
      figure(Math.round(sink.kbps), t("kbps")),
      figure(sink.dropped_frames, t("dropped")),
      figure(duration(sink.uptime_s), t("uptime"), true),
      figure(sink.reconnects, t("reconnects")),
    );
    item.append(figures, meter(sink.congestion));
  }
  if (sink.error && sink.state !== "live") item.append(element("p", "sink-error", sink.error));
  if (sink.retry_in_s > 0) item.append(element("p", "sink-address", t("retryIn", { seconds: Math.ceil(sink.retry_in_s) })));
  return item;
}

function figure(value, unit, unitFirst = false) {
  const span = element("span");
  const number = element("b", "", String(value));
  if (unitFirst) span.append(`${unit} `, number);
  else span.append(number, ` ${unit}`);
  return span;
}

function meter(congestion) {
  const percent = Math.round(Math.min(1, Math.max(0, congestion)) * 100);
  const bar = element("div", "meter", "", { level: percent > 70 ? "bad" : percent > 30 ? "warn" : "good" });
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", t("congestion"));
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  bar.setAttribute("aria-valuenow", String(percent));
  const level = element("i");
  level.style.width = `${percent}%`;
  bar.append(level);
  return bar;
}

function showQueue(status) {
  const waiting = status.next ?? [];
  const { length = 0, capacity = 0 } = status.queue ?? {};
  setText($("queue-count"), `${length} / ${capacity}`);
  fill($("queue"), JSON.stringify([waiting, length]), () => {
    if (!waiting.length) return [element("li", "empty", t("emptyQueue"))];
    const items = waiting.map((prompt) => {
      const item = element("li");
      item.append(element("span", "kind", promptKind(prompt)), element("span", "text", prompt.text), prompt.held ? element("span", "mark", t("held"), { state: "warn" }) : element("span", "mark", prompt.author || prompt.origin));
      return item;
    });
    if (length > waiting.length) items.push(element("li", "empty", t("moreQueued", { count: length - waiting.length })));
    return items;
  });
}

/** Shows the newest rows of the as-run log. */
export function showAsrun(rows) {
  fill($("asrun"), JSON.stringify(rows), () => {
    if (!rows.length) return [element("li", "empty", t("emptyAsrun"))];
    return rows.map((line) => {
      const item = element("li");
      const gap = line.outcome === "gap";
      const cut = gap || line.outcome === "cut" || line.outcome === "lost";
      item.append(
        element("span", "time", clockTime(line.start_ns)),
        element("span", "text", gap ? t("gap", { seconds: Math.round((line.end_ns - line.start_ns) / 1e9) }) : line.text),
        element("span", "mark", cut ? t("cut") : line.outcome === "on_air" ? t("onAir") : line.engine, { state: cut ? "warn" : "" }),
      );
      return item;
    });
  });
}
