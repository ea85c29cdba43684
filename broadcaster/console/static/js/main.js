// The page: wires the connection, the player, the panels and the prompt box together.

import * as api from "./api.js";
import { Composer } from "./composer.js";
import { $, setState, setText } from "./dom.js";
import { refusal, t, translate } from "./i18n.js";
import { Link } from "./link.js";
import { showAsrun, showStatus, showUnknown } from "./panels.js";
import { Screen } from "./screen.js";

const ASRUN_ROWS = 20;
const LINK_WORDS = { open: "linkOpen", connecting: "linkConnecting", closed: "linkClosed" };

translate(document);

const link = new Link();
const screen = new Screen();
const composer = new Composer(link, refresh);

link.addEventListener("state", (event) => {
  setState($("link"), event.detail);
  setText($("link-text"), t(LINK_WORDS[event.detail]));
  if (event.detail === "closed") showUnknown();
});
link.addEventListener("welcome", (event) => {
  const { role } = event.detail;
  composer.setRole(role);
  setText($("role"), t(role));
  $("role").hidden = false;
  refresh();
  refreshAsrun();
});
link.addEventListener("unauthorised", begin);
link.addEventListener("message", (event) => {
  const message = event.detail;
  if (message.type === "status") show(message.status);
  else if (message.type === "skipped") composer.skipped(message);
  if (["on_air", "held", "done", "cut"].includes(message.type)) {
    refresh();
    refreshAsrun();
  }
});
$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api.login($("token").value);
    $("token").value = "";
    $("login").close();
    begin();
  } catch (error) {
    setText($("login-verdict"), refusal(error.code, error.message));
    setState($("login-verdict"), "bad");
  }
});
$("login").addEventListener("cancel", (event) => event.preventDefault());
$("logout").addEventListener("click", async () => {
  await api.logout().catch(() => {});
  location.reload();
});

/** Asks who we are; logs in first where a token is needed. */
async function begin() {
  let session;
  try {
    session = await api.session();
  } catch (error) {
    if (error.status && error.status < 500) return setText($("screen-note"), refusal(error.code, error.message));
    setTimeout(begin, 2000);
    return;
  }
  composer.setLimit(session.max_text);
  $("logout").hidden = !session.login || !session.role;
  if (session.role) link.open();
  else if (!$("login").open) $("login").showModal();
}

function show(status) {
  showStatus(status);
  screen.showStatus(status);
  composer.showStatus(status);
}

async function refresh() {
  try {
    show(await api.status());
  } catch {
    // The websocket tells when the daemon is away; the next status event comes by itself.
  }
}

let asrunTimer;

/** The log is written just after the event; several events in a row make one request. */
function refreshAsrun() {
  clearTimeout(asrunTimer);
  asrunTimer = setTimeout(() => api.asrun(ASRUN_ROWS).then(showAsrun).catch(() => {}), 150);
}

begin();
