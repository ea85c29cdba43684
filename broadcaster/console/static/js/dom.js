// Small helpers to build and refresh elements; text always goes in as text.

export const $ = (id) => document.getElementById(id);

export function element(tag, className = "", text = "", data = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== "") made.textContent = text;
  Object.assign(made.dataset, data);
  return made;
}

/** Writes text only when it changed: screen readers announce what is written. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setState(target, state) {
  if (target.dataset.state !== state) target.dataset.state = state;
}

/** Replaces the children unless `key` says that nothing changed, so that scrolling and selection stay. */
export function fill(target, key, build) {
  if (target.dataset.key === key) return;
  target.dataset.key = key;
  target.replaceChildren(...build());
}
