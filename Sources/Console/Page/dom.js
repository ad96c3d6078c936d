// Making elements. Text is only ever set as text: nothing here, and nothing on the page, turns a string into markup.

/** What would move a cursor, colour a line or turn it around is shown as a sign of its own. */
export const harmless = text => String(text).replace(
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
  sign => sign < " " ? String.fromCharCode(0x2400 + sign.charCodeAt(0)) : "\ufffd");

const svgTags = new Set(["svg", "path", "line", "text", "rect", "circle", "title", "g"]);

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

// What is shown of numbers and times.

export const number = value => value === null || value === undefined ? "–"
  : Number.isInteger(value) || Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en")
  : value.toFixed(Math.abs(value) < 1 ? 2 : 1);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export const size = bytes => bytes < 1024 ? `${bytes} B`
  : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;

/** To the second, or to the millisecond; the whole of it is said when somebody points at it. */
export const time = (value, digits = 19) => {
  const date = new Date(value);
  return isNaN(date) ? String(value) : h("time", {datetime: date.toISOString(), title: date.toISOString()},
    date.toISOString().slice(0, digits).replace("T", " "));
};

export const span = seconds => seconds === null || seconds === undefined ? "–"
  : seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min`
  : seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;

const moods = {open: "bad", replaying: "live", replayed: "live", resolved: "good", discarded: "", expired: "warn",
  waiting: "live", canary: "live", running: "live", finishing: "live", paused: "warn", stopped: "bad", cancelled: "", done: "good"};
export const chip = (text, mood = moods[text] ?? "") => h("span", {class: `chip ${mood}`}, text);

/** On a narrow screen each row is a card, and each cell has its title beside it. */
export function table(titles, rows, caption) {
  for (const row of rows) [...row.children].forEach((one, index) => { one.dataset.title = titles[index]?.n ?? titles[index] ?? ""; });
  return h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    h("table", {}, h("thead", {}, h("tr", {}, titles.map(title => h("th", {scope: "col", class: title.n ? "n" : null}, title.n ?? title)))),
      h("tbody", {}, rows)));
}

export const cell = (...children) => h("td", {}, children);
export const figure = value => h("td", {class: "n"}, number(value));
export const text = (...children) => h("td", {class: "text"}, children);
export const quiet = (...children) => h("p", {class: "quiet"}, children);
/** What may be one long word. */
export const word = (...children) => h("span", {class: "word"}, children);
export const field = (label, input) => h("label", {}, label, input);
export const pick = (name, chosen, options) => h("select", {name}, options.map(([value, words]) => h("option", {value, selected: value === chosen}, words)));
export const facts = (pairs, kind = "") => h("dl", {class: kind}, pairs.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
export const tile = (value, name, attributes) => h(attributes ? "a" : "div", {class: "tile", ...attributes}, h("b", {}, typeof value === "number" ? number(value) : value), h("span", {}, name));
export const above = (href, words) => h("p", {class: "above"}, h("a", {href}, words));

// What is done.

/** A word at the edge of the page, read out too. What went wrong stays until somebody closes it or goes on. */
export function say(words, mood = "") {
  const line = h("p", {class: mood}, words, mood && h("button", {class: "small", type: "button", onclick: () => line.remove()}, "Close"));
  const place = document.getElementById("said");
  place.append(line);
  // What was said before the last word is history.
  for (const old of [...place.querySelectorAll("p:not(.bad)")].slice(0, -2)) old.remove();
  if (!mood) setTimeout(() => line.remove(), 8000);
}

/** A button for what takes a moment. Pressed again meanwhile it does nothing, and what goes wrong is said. */
export function press(words, action, attributes = {}) {
  const button = h("button", {type: "button", ...attributes, onclick: async () => {
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try { await action(); } catch (fault) { say(fault.message, "bad"); }
    button.ariaBusy = "false";
  }}, words);
  return button;
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

/** What is in a dialog: `read` says what it closes with when somebody goes on. */
export const form = (close, read, parts, button, kind = "main") => h("form", {onsubmit: event => { event.preventDefault(); close(read()); }},
  parts, h("div", {class: "row"}, h("button", {class: kind}, button), h("button", {type: "button", onclick: () => close()}, "Leave it")));
