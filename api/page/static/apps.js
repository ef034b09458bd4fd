// The apps: what is desired beside what is observed, and how far an update is.

import { light, make, mark, place, say } from "./dom.js";
import { openApp } from "./dialogs.js";
import { known } from "./state.js";
import { called, short } from "./words.js";

const apps = new Map();

export function drawApp(name, picture, whole) {
  const app = picture.apps[name];
  let row = apps.get(name);
  if (!app) {
    row?.remove();
    apps.delete(name);
    return;
  }
  if (!row) {
    row = newRow(name);
    apps.set(name, row);
    place(document.getElementById("apps"), row, name);
    if (!whole) light(row);
  }
  const ready = app.ready || 0, wanted = app.wanted || 0, running = app.running || 0;
  const observed = picture.mode === "push";
  mark(row, "data-tone", observed ? (running ? "well" : "bad") : ready >= wanted ? "well" : "busy");
  const node = observed && picture.instances[name]?.node;
  say(row.querySelector(".image"), [short(app.image), node, app.stack && `stack ${app.stack}`, app.everywhere && "on every node"].filter(Boolean).join(" · "));
  say(row.querySelector(".number"), observed ? "" : `${ready}/${wanted}`);
  say(row.querySelector(".means"), observed ? (running ? "● running" : "✕ not running") : "ready");
  const bar = row.querySelector("progress");
  bar.hidden = observed;
  bar.max = Math.max(wanted, 1);
  bar.value = Math.min(ready, wanted);
  mark(bar, "aria-label", `${ready} of ${wanted} instances of ${name} are ready`);
  const update = row.querySelector(".rollout");
  update.hidden = !app.rollout;
  say(update.querySelector("span"), app.rollout || "");
  const done = update.querySelector("progress");
  done.max = Math.max(wanted, 1);
  done.value = Math.min(app.updated || 0, wanted);
  mark(done, "aria-label", `${app.updated || 0} of ${wanted} instances of ${name} run the present revision`);
}

function newRow(name) {
  return make("li", { class: "app", "data-part": "apps" },
    make("div", { class: "head" },
      make("h3", {}, make("button", { type: "button", class: "plain", onclick: () => openApp(name) }, called(name, known.picture.mode))),
      make("p", { class: "image" }),
      make("p", { class: "count" }, make("strong", { class: "number" }), " ", make("span", { class: "means" }))),
    make("progress", {}),
    make("div", { class: "rollout", hidden: true }, make("p", {}, make("strong", {}, "Rollout "), make("span", {})), make("progress", {})));
}

export function drawNoApps(picture) {
  document.getElementById("no-apps").hidden = Object.keys(picture.apps).length > 0;
}
