// Elements, made and changed in place, so that what has the focus keeps it.

/** `make("p", {class: "x", onclick: f}, "text", child)`. Attributes that are null, undefined or false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Writes only what differs: an element that is written anew is read out anew. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (value === null || value === undefined || value === "") element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Puts a child in its place by the names that `data-key` has; moves nothing that stands right. */
export function place(list, child, key) {
  child.dataset.key = key;
  let next = list.lastElementChild;
  if (child.parentElement === list) {
    const before = child.previousElementSibling, after = child.nextElementSibling;
    if ((!before || isBefore(before, key)) && (!after || !isBefore(after, key))) return;
  }
  while (next && (next === child || !isBefore(next, key))) next = next.previousElementSibling;
  list.insertBefore(child, next ? next.nextElementSibling : list.firstElementChild);
}

const ORDER = new Intl.Collator("en", { numeric: true });

function isBefore(element, key) {
  return ORDER.compare(element.dataset.key, key) < 0;
}

/** Lights an element for a moment; `data-lit` counts how many lights are on. */
export function light(element, milliseconds = 1200) {
  element.dataset.lit = Number(element.dataset.lit || 0) + 1;
  setTimeout(() => {
    const left = Number(element.dataset.lit || 1) - 1;
    if (left > 0) element.dataset.lit = left;
    else delete element.dataset.lit;
  }, milliseconds);
}
