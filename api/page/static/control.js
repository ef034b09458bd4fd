// The control plane: its processes, and the four steps, which light up when they run.

import { light, make, mark, say } from "./dom.js";
import { now } from "./state.js";
import { ago, sign, tone } from "./words.js";

const STEPS = {
  sensor: ["1", "Sensor", "what runs"],
  setpoint: ["2", "Setpoint", "what is wanted"],
  comparator: ["3", "Comparator", "the difference"],
  actuator: ["4", "Actuator", "what is done"],
};
const WIRES = {
  push: "each request goes over SSH to the next node; nothing comes back",
  reconcile: "the loop reads all nodes over SSH, and acts on them over SSH",
  agents: "an agent on each node asks the API what to run, and reports with heartbeats; no SSH",
};
const TITLES = { api: "API", reconciler: "Control loop", scheduler: "Scheduler", "node-controller": "Node controller" };

export function drawControl(picture) {
  const list = document.getElementById("processes");
  for (const element of [...list.children]) if (!picture.processes[element.dataset.key]) element.remove();
  for (const [name, process] of Object.entries(picture.processes)) {
    let element = list.querySelector(`[data-key="${name}"]`);
    if (!element) {
      element = make("li", { class: "process", "data-key": name },
        make("strong", {}, TITLES[name] || name), make("span", { class: "state" }), make("span", { class: "why" }));
      list.append(element);
    }
    mark(element, "data-tone", tone(process.state));
    say(element.querySelector(".state"), `${sign(process.state)} ${process.state}`);
    say(element.querySelector(".why"), process.words || "");
  }
  say(document.getElementById("wire-words"), WIRES[picture.mode] || "");
}

export function drawSteps(picture, patch, whole) {
  const list = document.getElementById("steps");
  for (const [name, [number, title, means]] of Object.entries(STEPS)) {
    let element = list.querySelector(`[data-key="${name}"]`);
    if (!element) {
      element = make("li", { class: "step", "data-key": name },
        make("h3", {}, make("span", { class: "ordinal", "aria-hidden": "true" }, number), title, make("small", {}, means)),
        make("p", { class: "did" }), make("p", { class: "when" }), make("span", { class: "tip", "aria-hidden": "true" }));
      list.append(element);
    }
    const step = picture.steps[name] || {};
    mark(element, "data-absent", step.absent ? "yes" : "");
    say(element.querySelector(".did"), step.absent || step.words || "nothing yet");
    element.title = step.absent || step.words || "";
    if (!whole && patch[name] && !step.absent) light(element);
  }
  stepAges(picture);
}

export function stepAges(picture) {
  for (const element of document.getElementById("steps").children) {
    const at = (picture.steps[element.dataset.key] || {}).at;
    say(element.querySelector(".when"), at ? ago(now() - at) : "");
  }
}
