// The words and signs of states. A sign differs in its shape and not only in its color.

const SIGNS = {
  ready: "●", running: "●", healthy: "●", done: "✓", suspect: "◐", starting: "◔", pending: "○", backoff: "↻", paused: "‖",
  unreachable: "✕", lost: "✕", silent: "✕", stopped: "■", exited: "■", unreadable: "?", unhealthy: "!", failed: "!",
};
const WELL = ["ready", "running", "done"];
const UNDER_WAY = ["starting", "pending", "suspect", "created", "removing", "stopping"];

/** How a state is colored: well, busy or bad. */
export function tone(status) {
  if (WELL.includes(status)) return "well";
  return UNDER_WAY.includes(status) ? "busy" : "bad";
}

export function sign(status) {
  return SIGNS[status.split(" ")[0]] || "•";
}

/** The state of an instance in one word: what its check says counts for more than that it runs. */
export function stateOf(instance) {
  const status = instance.status || "pending";
  if (status !== "running" || instance.surplus) return status;
  if (instance.health === "unhealthy" || instance.health === "starting") return instance.health;
  return instance.ready ? "ready" : "starting";
}

/** The name of an app of push mode is that of its container, which begins with cluster and node: `app-7` tells it from others. */
export function called(name, mode) {
  return mode === "push" ? name.replace(/^duckconf-.*-(app-\d+)$/, "$1") : name;
}

/** Seconds as a person says them. */
export function ago(seconds) {
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}

export function plural(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** An image without its registry and path, as there is room for it. */
export function short(image) {
  return image.replace(/^.*\//, "").replace(/@sha256:([0-9a-f]{8})[0-9a-f]*/, "@$1");
}
