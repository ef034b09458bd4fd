// The page: follows the stream, keeps the picture, and says when it does not know how things are.

import { openSession, readStream, Refused } from "./api.js";
import { drawAges, drawPatch, drawPicture } from "./draw.js";
import { say } from "./dom.js";
import { askForToken } from "./dialogs.js";
import { tell } from "./events.js";
import { merge } from "./patch.js";
import { known } from "./state.js";
import { ago } from "./words.js";

// Milliseconds. The server sends something at least every 5 s.
const STALE_AFTER = 12000;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4000;
const RENEW_EVERY = 10 * 60 * 1000;

let heard = Date.now();
let reads = false;

function take(kind, data) {
  if (kind === "now") {
    known.skew = data.now - Date.now() / 1000;
  } else if (kind === "picture") {
    known.picture = data;
    drawPicture(data);
  } else if (kind === "patch" && known.picture) {
    merge(known.picture, data);
    drawPatch(known.picture, data);
  } else if (kind === "events") {
    tell(data);
  }
  reads = true;
  showLink();
}

function showLink() {
  const silent = Date.now() - heard;
  const state = !known.picture ? "waiting" : reads && silent < STALE_AFTER ? "live" : "stale";
  const words = { waiting: "connecting", live: "live", stale: "stale: the API does not answer; connecting again" };
  document.body.dataset.link = state;
  say(document.getElementById("link-words"), words[state]);
  // Not part of what is read out: it changes every second.
  say(document.getElementById("link-age"), state === "stale" ? `last word ${ago(silent / 1000)}` : "");
}

async function read() {
  const stop = new AbortController();
  heard = Date.now();
  const watchdog = setInterval(() => Date.now() - heard > STALE_AFTER && stop.abort(), 1000);
  try {
    await readStream(known, stop.signal, take, () => { heard = Date.now(); });
  } finally {
    clearInterval(watchdog);
    reads = false;
    showLink();
  }
}

async function follow() {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(LONGEST_PAUSE, pause * 2)) {
    const before = known.id;
    const since = heard;
    try {
      await read();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) await askForToken(openSession);
      else heard = known.id === before ? since : heard;
    }
    if (known.id !== before) pause = FIRST_PAUSE;
    // Each page its own pause: a hundred of them do not come back in one moment.
    await new Promise((go) => setTimeout(go, pause * (0.5 + Math.random() / 2)));
  }
}

setInterval(() => {
  showLink();
  if (known.picture) drawAges(known.picture);
}, 1000);
// A session is short, and a page that is open renews its own. Only agents mode has any.
setInterval(() => known.picture?.mode === "agents" && openSession("").catch(() => null), RENEW_EVERY);
follow();
