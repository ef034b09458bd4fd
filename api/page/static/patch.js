// Merge patches (RFC 7396), applied in place.

/** Changes `target` as the patch says, and returns it. */
export function merge(target, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      delete target[name];
    } else if (typeof value === "object" && !Array.isArray(value)) {
      const old = target[name];
      target[name] = merge(old && typeof old === "object" && !Array.isArray(old) ? old : {}, value);
    } else {
      target[name] = value;
    }
  }
  return target;
}
