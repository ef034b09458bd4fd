// The nodes, with the instances as boxes in them, and the call that reaches a node now.

import { light, make, mark, place, say } from "./dom.js";
import { openApp, openNode } from "./dialogs.js";
import { known, now } from "./state.js";
import { ago, called, plural, short, sign, stateOf, tone } from "./words.js";

// Above this many instances each is drawn small.
const MANY = 300;
const UPWARDS = "agents";

const nodes = new Map();
const boxes = new Map();
const calls = new Map();

export function drawNode(name, picture, whole) {
  const node = picture.nodes[name];
  let card = nodes.get(name);
  if (!node) {
    card?.remove();
    nodes.delete(name);
    return;
  }
  if (!card) {
    card = newCard(name);
    nodes.set(name, card);
    place(document.getElementById("nodes"), card, name);
  }
  const before = card.dataset.status;
  mark(card, "data-status", node.status);
  mark(card, "data-tone", tone(node.status));
  say(card.querySelector(".status"), `${sign(node.status)} ${node.status}`);
  say(card.querySelector(".counts"), node.instances ? `${node.ready || 0}/${node.instances} ready` : "empty");
  const tags = [node.draining ? "draining" : node.cordoned ? "cordoned" : "", node.zone ? `zone ${node.zone}` : ""];
  say(card.querySelector(".tags"), tags.filter(Boolean).join(" · "));
  say(card.querySelector(".reason"), node.reason || "");
  if (!whole && before && before !== node.status) light(card);
  if (!whole && picture.mode === UPWARDS) light(card.querySelector(".port"), 600);
  age(card, node);
}

function newCard(name) {
  const id = `node-${name}`;
  return make("li", { class: "node", "data-part": "nodes" },
    make("p", { class: "port" }, make("span", { class: "arrow", "aria-hidden": "true" }), make("span", { class: "call" })),
    make("div", { class: "head" },
      make("h3", { id }, make("button", { type: "button", class: "plain", onclick: () => openNode(name) }, name)),
      make("span", { class: "status" })),
    make("p", { class: "facts" }, make("span", { class: "counts" }), make("span", { class: "heard" }), make("span", { class: "tags" })),
    make("p", { class: "reason" }),
    make("ul", { class: "boxes", "aria-labelledby": id, onkeydown: walk }));
}

/** Of the instances of a node one can be reached with Tab, the others with the arrows from there. */
function walk(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const all = [...event.currentTarget.querySelectorAll("button")];
  const next = all[all.indexOf(document.activeElement) + (step || 0)];
  if (!step || !next) return;
  event.preventDefault();
  document.activeElement.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

export function drawInstance(name, picture, whole) {
  const instance = picture.instances[name];
  let box = boxes.get(name);
  if (!instance) {
    box?.remove();
    boxes.delete(name);
    return;
  }
  const list = listOf(instance, picture);
  if (!box) {
    box = newBox(name);
    boxes.set(name, box);
    if (!whole) light(box);
  }
  place(list, box, name);
  fill(box, name, instance, list, picture);
}

function listOf(instance, picture) {
  const card = instance.node && picture.nodes[instance.node] ? nodes.get(instance.node) : null;
  return card ? card.querySelector(".boxes") : document.getElementById("waits");
}

function newBox(name) {
  const open = () => openApp(known.picture.instances[name].app);
  return make("li", { "data-part": "instances" },
    make("button", { type: "button", class: "box", onclick: open },
      make("span", { class: "sign", "aria-hidden": "true" }),
      make("span", { class: "name" }), make("span", { class: "spoken" }), make("span", { class: "detail" }), make("span", { class: "note" })));
}

function fill(box, name, instance, list, picture) {
  const state = stateOf(instance);
  const own = instance.slot > 1 ? `${instance.app}.${instance.slot}` : instance.app;
  const label = instance.surplus ? own : called(name, picture.mode);
  const kind = instance.surplus ? "not desired" : instance.outdated ? "earlier revision" : "";
  const ports = (instance.ports || []).map((port) => `:${port.replace(/:.*/, "")}`).join(" ");
  if (box.dataset.state && box.dataset.state !== state) light(box);
  mark(box, "data-state", state);
  mark(box, "data-tone", tone(state));
  mark(box, "data-kind", kind);
  say(box.querySelector(".sign"), sign(state));
  say(box.querySelector(".name"), label);
  const seen = state === "ready" || instance.surplus && state === "running" ? "" : state;
  say(box.querySelector(".detail"), [seen, kind, short(instance.image || ""), ports].filter(Boolean).join(" · "));
  say(box.querySelector(".note"), state === "ready" || instance.note === kind ? "" : instance.note || "");
  const button = box.querySelector("button");
  say(box.querySelector(".spoken"), state === "ready" ? `, ${state}, ` : ", ");
  mark(button, "title", [instance.container, instance.note].filter(Boolean).join(": "));
  button.tabIndex = list.id === "waits" || !list.querySelector('button[tabindex="0"]') || button.tabIndex === 0 && onlyOne(list, button) ? 0 : -1;
}

function onlyOne(list, button) {
  return [...list.querySelectorAll('button[tabindex="0"]')].every((other) => other === button);
}

/** What is being done on a node now; a call that has ended stays lit for a moment. */
export function drawCalls(picture, patch) {
  for (const key of Object.keys(patch)) {
    const call = picture.calls[key];
    if (call) calls.set(key, call.node);
    reach(calls.get(key), Object.values(picture.calls).filter((one) => one.node === calls.get(key)));
    if (!call) calls.delete(key);
  }
}

function reach(name, open) {
  const port = nodes.get(name)?.querySelector(".port");
  if (!port) return;
  mark(port, "data-calls", open.length || "");
  say(port.querySelector(".call"), open.length > 1 ? plural(open.length, "call") : open[0]?.words || "");
  light(port);
}

/** An event that names a node lights the arrow to it. */
export function lightNode(name) {
  const port = nodes.get(name)?.querySelector(".port");
  if (port) light(port);
}

export function nodeAges(picture) {
  for (const [name, card] of nodes) if (picture.nodes[name]) age(card, picture.nodes[name]);
}

function age(card, node) {
  const word = document.body.dataset.mode === UPWARDS ? "heartbeat" : "answered";
  say(card.querySelector(".heard"), node.heard ? `${word} ${ago(now() - node.heard)}` : "");
}

export function drawTally(picture) {
  const all = Object.values(picture.nodes), instances = Object.values(picture.instances);
  const well = all.filter((node) => node.status === "ready").length;
  const ready = instances.filter((one) => one.ready).length;
  say(document.getElementById("tally"), `${well} of ${plural(all.length, "node")} ready · ${ready} of ${plural(instances.length, "instance")} ready`);
  document.getElementById("nodes").classList.toggle("dense", instances.length > MANY);
  document.getElementById("waiting").hidden = !document.getElementById("waits").children.length;
}
