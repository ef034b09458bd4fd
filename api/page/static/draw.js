// Draws a picture, and later only what a patch names.

import { drawApp, drawNoApps } from "./apps.js";
import { drawControl, drawSteps, stepAges } from "./control.js";
import { followApp } from "./dialogs.js";
import { say } from "./dom.js";
import { drawCalls, drawInstance, drawNode, drawTally, nodeAges } from "./fleet.js";

const PARTS = [["nodes", drawNode], ["apps", drawApp], ["instances", drawInstance]];

/** The whole: also what is drawn and not there any more is taken away. */
export function drawPicture(picture) {
  document.title = `${picture.cluster} · Duckconf`;
  document.body.dataset.mode = picture.mode;
  say(document.getElementById("cluster"), picture.cluster);
  say(document.getElementById("mode"), picture.mode);
  say(document.getElementById("apps-means"), picture.mode === "push" ? "what was started; nothing is desired" : "desired beside observed");
  document.getElementById("start").hidden = false;
  for (const [part, draw] of PARTS) {
    const drawn = [...document.querySelectorAll(`[data-part="${part}"]`)].map((element) => element.dataset.key);
    for (const name of new Set([...Object.keys(picture[part]), ...drawn])) draw(name, picture, true);
  }
  drawRest(picture, picture, true);
}

/** What `patch` has made of the picture. */
export function drawPatch(picture, patch) {
  for (const [part, draw] of PARTS) {
    for (const name of Object.keys(patch[part] || {})) draw(name, picture, false);
  }
  drawRest(picture, patch, false);
  followApp(picture, patch);
}

function drawRest(picture, patch, whole) {
  if (patch.processes || whole) drawControl(picture);
  if (patch.steps) drawSteps(picture, patch.steps, whole);
  if (patch.calls) drawCalls(picture, patch.calls);
  if (patch.faults) drawFaults(picture.faults);
  if (patch.nodes || patch.instances || whole) drawTally(picture);
  if (patch.apps || whole) drawNoApps(picture);
}

function drawFaults(faults) {
  const box = document.getElementById("faults");
  box.hidden = !faults.length;
  box.replaceChildren(...faults.map((fault) => Object.assign(document.createElement("p"), { textContent: fault })));
}

/** What grows old without a word from the server. */
export function drawAges(picture) {
  stepAges(picture);
  nodeAges(picture);
}
