// Topics, and what is in them.
import {get, link, query} from "./api.js";
import {above, cell, chip, count, facts, field, figure, fill, h, number, quiet, size, table, text, time, word} from "./dom.js";

export default async function topics(root, place, signal, session) {
  if (place.rest) return records(root, place, signal, session);
  const found = (await get("/api/topics", signal)).topics;
  const list = (own, caption) => own.length ? table(["Topic", {n: "Partitions"}, "Read by", "About"], own.map(one => h("tr", {},
    cell(h("a", {href: link("topics", one.topic)}, one.topic)), figure(one.partitions), text(one.consumers.join(", ") || h("span", {class: "quiet none"}, "–")),
    text(one.about || h("span", {class: "quiet"}, "no file says it")))), caption) : quiet("There is none.");
  fill(root, h("h1", {}, "Topics"),
    h("section", {class: "card"}, list(found.filter(one => !one.derived), "Topics")),
    h("section", {class: "card"}, h("h2", {}, "Retries, dead letters and replays"), list(found.filter(one => one.derived), "Derived topics")));
}

async function records(root, place, signal, session) {
  const topic = place.rest, said = place.values, mayAct = session.role === "operate";
  const input = (name, attributes = {}) => h("input", {name, value: said[name] ?? "", ...attributes});
  const unmasked = h("input", {type: "checkbox", name: "unmasked", value: "true", checked: said.unmasked === "true"});
  const form = h("form", {class: "fields", onsubmit: event => {
    event.preventDefault();
    location.hash = link("topics", topic, Object.fromEntries(new FormData(event.target)));
  }},
    field("Partition", input("partition", {type: "number", min: 0})), field("from offset", input("offset", {type: "number", min: 0})),
    field("or from time", input("time", {placeholder: "90m, 2026-11-21T12:00:00Z"})), field("or of key", input("key")),
    h("div", {class: "row mid"}, h("button", {class: "main"}, "Look"), mayAct && h("label", {class: "check"}, unmasked, "personal fields too")));
  const list = h("section", {class: "card", "aria-busy": "true"}, quiet("Reading …"));
  fill(root, above("#/topics", "Topics"), h("h1", {}, topic), h("section", {class: "card"}, form), list);
  try { fill(list, shown(topic, said, await get(`/api/topics/${encodeURIComponent(topic)}/records${query(said)}`, signal), mayAct)); } catch (fault) {
    if (signal.aborted) return;
    fill(list, h("p", {class: "note bad"}, fault.message));
  }
  list.removeAttribute("aria-busy");
}

function shown(topic, said, found, mayAct) {
  const last = found.records.at(-1), way = said.offset ? "" : said.time ? ", the first of that time or later" : said.key ? ", the latest of that key" : ", the latest";
  return [
    quiet(found.records.length ? `${count(found.records.length, "record")}${way}. ${number(found.looked)} were looked at${found.more ? "; older ones were not" : ""}.`
      : `No record fits. ${number(found.looked)} were looked at${found.more ? "; older ones were not" : ""}.`),
    found.records.map(record => one(record, mayAct)),
    said.offset && last && h("div", {class: "row actions"}, h("a", {class: "button", href: link("topics", topic, {...said, offset: last.offset + 1})}, "Further on"))];
}

function one(record, mayAct) {
  const about = record.record, type = about.headers?.ce_type, key = about.key;
  return h("details", {class: "record"},
    h("summary", {}, h("span", {class: "mono"}, `${record.partition}/${record.offset}`), h("span", {}, record.timestamp ? time(record.timestamp, 23) : "no time"),
      h("span", {}, type && chip(type)), key === null || key === undefined ? h("span", {class: "quiet"}, about.too_large ? "" : "no key") : h("span", {class: "mono"}, word(key)),
      h("span", {class: "quiet n"}, size(record.body.bytes))),
    about.too_large && quiet("Its key and headers are too large to be shown."),
    headers(Object.entries(about.headers ?? {})), body(record.body, "", mayAct && "Tick personal fields to see it."));
}

export const headers = entries => entries.length ? facts(entries.map(([name, value]) => [name, [value].flat().map(one => h("div", {}, one || " "))]), "mono headers") : null;

/** `remedy`: what can be done about a body that is not shown. */
export function body(shown, note = "", remedy = "") {
  const words = {none: "There is no body.", hidden: `Not shown: ${shown.text}. ${remedy || ""}`}[shown.kind];
  return h("div", {}, note && quiet(note),
    words ? quiet(words) : h("pre", {class: shown.kind === "binary" ? "wide" : null, tabindex: 0, role: "region", "aria-label": "Body"}, shown.text),
    shown.cut && quiet(`Cut: it has ${count(shown.bytes, "byte")}.`));
}
