// Making elements. Text is only ever set as text: nothing here, and nothing on the page, turns a string into markup.

/** What would move a cursor, colour a line or turn it around is shown as a sign of its own. */
export const harmless = text => String(text).replace(
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  sign => sign < " " ? String.fromCharCode(0x2400 + sign.charCodeAt(0)) : "\ufffd");

const svgTags = new Set(["svg", "path", "line", "text", "rect", "title", "g"]);

/** h("a", {href: "#"}, "text", other) */
export function h(tag, attributes = {}, ...children) {
  const element = svgTags.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : harmless(child));
  }
  return element;
}

/** Puts these in the place of what is there. Whoever has the focus keeps it when the new has the same id. */
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren();
  add(element, children);
  if (focused) document.getElementById(focused)?.focus();
}

export const number = value => value === null || value === undefined ? "–"
  : Math.abs(value) >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en") : value.toFixed(1);

export const time = value => {
  const date = new Date(value);
  return isNaN(date) ? String(value) : h("time", {datetime: date.toISOString(), title: date.toISOString()}, date.toISOString().slice(0, 19).replace("T", " "));
};

export const span = seconds => seconds === null || seconds === undefined ? "?"
  : seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min`
  : seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;

const moods = {open: "bad", replaying: "live", replayed: "live", resolved: "good", discarded: "", expired: "warn",
  waiting: "live", canary: "live", running: "live", finishing: "live", paused: "warn", stopped: "bad", cancelled: "", done: "good"};
export const chip = (text, mood = moods[text] ?? "") => h("span", {class: `chip ${mood}`}, text);

export function table(titles, rows, caption) {
  return h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    h("table", {}, h("thead", {}, h("tr", {}, titles.map(title => h("th", {scope: "col", class: title.n ? "n" : null}, title.n ?? title)))),
      h("tbody", {}, rows)));
}

export const cell = (...children) => h("td", {}, children);
export const figure = value => h("td", {class: "n"}, number(value));
export const text = (...children) => h("td", {class: "text"}, children);
export const field = (label, input) => h("label", {}, label, input);

/** A word at the edge of the page, read out too. */
export function say(words) {
  const line = h("p", {}, words);
  document.getElementById("said").append(line);
  setTimeout(() => line.remove(), 8000);
}

/** Asks in a dialog. `make(close)` gives what is in it; resolves with what it closed with, or undefined. */
export function ask(title, make) {
  return new Promise(resolve => {
    const before = document.activeElement;
    const id = "ask-title";
    const dialog = h("dialog", {"aria-labelledby": id});
    const close = value => { dialog.result = value; dialog.close(); };
    add(dialog, [h("h2", {id}, title), make(close)]);
    dialog.addEventListener("close", () => { dialog.remove(); before?.focus?.(); resolve(dialog.result); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
