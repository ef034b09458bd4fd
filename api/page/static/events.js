// The events, the newest first, each with the time and who told it.

import { make } from "./dom.js";
import { lightNode } from "./fleet.js";

const MOST = 200;
const BAD = /fail|lost|silent|suspect|unreach|unread|unhealthy|full|brake|bad-state|refused|stopped/;
const GOOD = /back|done|started|healthy|mended|balanced/;
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
// Seconds. What is older happened before the page was opened.
const JUST_NOW = 5;

export function tell(events) {
  const list = document.getElementById("events");
  for (const event of events) {
    list.prepend(line(event));
    if (event.node && Date.now() / 1000 - event.time < JUST_NOW) lightNode(event.node);
  }
  while (list.children.length > MOST) list.lastElementChild.remove();
}

function line(event) {
  const tone = BAD.test(event.kind) ? "bad" : GOOD.test(event.kind) ? "well" : "busy";
  const when = new Date(event.time * 1000);
  return make("li", { "data-tone": tone },
    make("time", { datetime: when.toISOString() }, CLOCK.format(when)),
    make("span", { class: "kind" }, `${event.kind} `, make("b", {}, event.instance || event.app || "")),
    make("p", {}, event.message, event.source ? make("small", {}, ` ${event.source}`) : null));
}
