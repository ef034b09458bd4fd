// The dialogs: an app and a node with what can be done to them, a new app, and the token.

import { call } from "./api.js";
import { make, place, say } from "./dom.js";
import { known } from "./state.js";
import { called, stateOf } from "./words.js";

const dialog = document.getElementById("dialog");
const path = (...parts) => parts.map((part) => `/${encodeURIComponent(part)}`).join("");

function show(title, ...content) {
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  dialog.replaceChildren(make("header", {}, make("h2", { id: "dialog-title" }, title), close), ...content);
  if (!dialog.open) dialog.showModal();
}

/** A form with one line of words for what comes of it: the API's own when it refuses. */
function form(button, fields, act) {
  const words = make("p", { class: "outcome", role: "status" });
  const submit = make("button", { type: "submit", class: button.danger ? "danger" : "primary" }, button.text);
  const send = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    words.removeAttribute("data-tone");
    try {
      words.textContent = (await act(new FormData(event.target))) || "done";
    } catch (error) {
      words.dataset.tone = "bad";
      words.textContent = error.message;
    }
    submit.disabled = false;
  };
  return make("form", { onsubmit: send, "data-form": button.text.toLowerCase().replaceAll(" ", "-") }, ...fields, submit, words);
}

function field(label, name, value, more = {}) {
  return make("label", {}, make("span", {}, label), make("input", { name, value, autocomplete: "off", spellcheck: "false", ...more }));
}

/** The app whose dialog is open, and the parts of it that follow the picture. */
let shown = null;

export function openApp(name) {
  const app = known.picture.apps[name];
  const heads = ["Instance", "Node", "State", "Restarts", "Container", "Note"];
  const rows = make("tbody", {});
  const table = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Instances of ${name}` },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), rows));
  const output = make("div", { class: "output", role: "status" });
  show(name, make("p", { class: "image" }, app ? app.image : "not desired"), table, output,
    ...(app && known.picture.mode !== "push" ? deeds(name, app) : []));
  shown = { name, rows, output };
  fillRows(known.picture);
}

/** Called with each patch: the table of an open dialog shows what is, as the page behind it. */
export function followApp(picture, patch) {
  if (dialog.open && shown?.rows.isConnected && patch.instances) fillRows(picture);
}

function fillRows(picture) {
  const own = Object.entries(picture.instances).filter(([, one]) => one.app === shown.name);
  for (const row of [...shown.rows.children]) if (!own.some(([key]) => key === row.dataset.key)) row.remove();
  for (const [key, one] of own) {
    let row = [...shown.rows.children].find((found) => found.dataset.key === key);
    if (!row) {
      row = newInstanceRow(key);
      place(shown.rows, row, key);
    }
    const texts = { node: one.node || "no node", state: stateOf(one), restarts: String(one.restarts || 0), note: one.note || "" };
    for (const [cell, text] of Object.entries(texts)) say(row.querySelector(`[data-cell="${cell}"]`), text);
    for (const button of row.querySelectorAll("button")) button.disabled = !(one.node && one.container);
  }
}

function newInstanceRow(key) {
  const of = () => known.picture.instances[key];
  const reach = (...words) => path("node", of().node, "container", of().container, ...words);
  const act = async (does) => {
    try {
      await does();
    } catch (error) {
      shown.output.replaceChildren(make("p", { class: "outcome", "data-tone": "bad" }, error.message));
    }
  };
  const kill = () => act(async () => {
    await call("POST", reach("kill"), {});
    shown.output.replaceChildren(make("p", { class: "outcome" }, `${key} was killed`));
  });
  const log = () => act(async () => {
    const { text } = await call("GET", reach("log"));
    const lines = make("pre", { class: "lines", tabindex: "0", "aria-label": `Log of ${key}` }, text || "it has printed nothing");
    shown.output.replaceChildren(lines);
    lines.scrollTop = lines.scrollHeight;
  });
  const stop = () => act(async () => {
    await call("DELETE", reach());
    shown.output.replaceChildren(make("p", { class: "outcome" }, `${key} was stopped and removed`));
  });
  const small = (text, does) => make("button", { type: "button", class: "small", "data-do": text.toLowerCase(), onclick: does, "aria-label": text === "Log" ? `Log of ${key}` : `${text} ${key}` }, text);
  // Where nothing is desired, what was stopped stays stopped.
  const ends = known.picture.mode === "push" ? [small("Stop", stop)] : [];
  const buttons = make("span", { class: "hands" }, small("Log", log), small("Kill", kill), ...ends);
  const cells = ["node", "state", "restarts"].map((name) => make("td", { "data-cell": name }));
  return make("tr", { "data-key": key }, make("th", { scope: "row" }, called(key, known.picture.mode)), ...cells,
    make("td", {}, buttons), make("td", { "data-cell": "note" }));
}

function deeds(name, app) {
  const put = (body) => call("PUT", path("app", name), body);
  const scale = form({ text: "Scale" }, [field("Instances", "replicas", app.wanted, { type: "number", min: "0", required: true })],
    async (data) => { await put({ replicas: Number(data.get("replicas")) }); return `declared: ${data.get("replicas")}`; });
  const update = form({ text: "Update" }, [field("Image", "image", app.image, { required: true })],
    async (data) => { await put({ image: data.get("image") }); return "declared; the instances are replaced one after the other"; });
  const back = form({ text: "Roll back" }, [make("p", {}, "Declare the revision before this one again.")],
    async () => { await call("POST", path("app", name, "rollback"), {}); return "declared"; });
  const stop = form({ text: "Stop", danger: true }, [make("p", {}, "Withdraw the app: its containers are stopped and removed.")],
    async () => { await call("DELETE", path("app", name)); return "withdrawn"; });
  return [make("div", { class: "deeds" }, ...(app.everywhere ? [] : [scale]), update, back, stop)];
}

export function openNode(name) {
  const node = known.picture.nodes[name];
  const facts = [["Status", node.status], ["Reason", node.reason], ["Zone", node.zone], ["Instances", `${node.ready || 0} of ${node.instances || 0} ready`]];
  const list = make("dl", {}, ...facts.filter(([, value]) => value).flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
  const put = (cordoned) => call("PUT", path("node", name), { cordoned });
  const cordon = form({ text: "Cordon" }, [make("p", {}, "The node gets no new apps; what runs there stays.")],
    async () => { await put(true); return "cordoned"; });
  const uncordon = form({ text: "Uncordon" }, [make("p", {}, "The node may get apps again.")],
    async () => { await put(false); return "uncordoned"; });
  const drain = form({ text: "Drain" }, [make("p", {}, "The node gets no new apps, and its apps move to other nodes.")],
    async () => { await call("PUT", path("node", name), { draining: true }); return "its apps move"; });
  const ask = (frozen) => call("PUT", path("node", name), { frozen });
  const freeze = form({ text: "Freeze", danger: true }, [make("p", {}, "The demo host and its containers stand still, as a machine that hangs.")],
    async () => { await ask(true); return "frozen"; });
  const thaw = form({ text: "Thaw" }, [make("p", {}, "The demo host goes on where it stood still.")],
    async () => { await ask(false); return "it goes on"; });
  const drains = known.picture.mode !== "push" && !node.draining;
  const stands = node.status === "ready" ? freeze : thaw;
  show(name, list, make("div", { class: "deeds" }, node.cordoned ? uncordon : cordon, ...(drains ? [drain] : []), ...(node.demo ? [stands] : [])));
}

document.getElementById("start").addEventListener("click", () => {
  const push = known.picture.mode === "push", named = known.picture.mode === "agents";
  const fields = [
    field("Image", "image", "", { required: true, placeholder: "nginx" }),
    ...(push ? [] : [field(named ? "Name" : "Name (may be empty)", "name", "", { required: named, pattern: "[a-z0-9]([a-z0-9\\-]*[a-z0-9])?" })]),
    field("Instances", "replicas", 1, { type: "number", min: "1", required: true }),
    field("Ports, such as 8081:80", "ports", ""),
  ];
  show("Start an app", form({ text: "Start" }, fields, async (data) => {
    const body = { image: data.get("image"), replicas: Number(data.get("replicas")) };
    if (data.get("name")) body.name = data.get("name");
    if (data.get("ports")) body.ports = data.get("ports").split(/[\s,]+/).filter(Boolean);
    const told = await call("POST", "/app/start", body);
    return told.node ? `${told.app} runs on ${told.node}` : `${told.app} is declared`;
  }));
});

/** Returns when the token was exchanged for a session. It is kept nowhere in the page. */
export function askForToken(openSession) {
  return new Promise((open) => {
    const fields = [
      make("p", {}, "This API asks who is calling. The operator's token lies in ", make("code", {}, ".duckconf/CLUSTER/operator.token"), " of the checkout."),
      field("Token", "token", "", { type: "password", required: true }),
    ];
    show("Operator's token", form({ text: "Open" }, fields, async (data) => {
      await openSession(data.get("token").trim());
      dialog.close();
      open();
    }));
    dialog.addEventListener("close", () => open(), { once: true });
  });
}
