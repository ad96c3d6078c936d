// Topics, and what is in them.
import {get, query} from "./api.js";
import {cell, chip, field, figure, fill, h, number, table, text, time} from "./dom.js";

export default async function topics(root, place, signal, session) {
  if (place.rest) return records(root, place, signal, session);
  const found = (await get("/api/topics", signal)).topics;
  const rows = list => list.map(one => h("tr", {}, cell(h("a", {href: `#/topics/${encodeURIComponent(one.topic)}`}, one.topic)),
    figure(one.partitions), text(one.consumers.join(", ")), text(one.about)));
  const titles = ["Topic", {n: "Partitions"}, "Read by", "About"];
  fill(root, h("h1", {}, "Topics"),
    h("section", {class: "card"}, table(titles, rows(found.filter(one => !one.derived)), "Topics")),
    h("section", {class: "card"}, h("h2", {}, "Retries, dead letters and replays"), table(titles, rows(found.filter(one => one.derived)), "Derived topics")));
}

async function records(root, place, signal, session) {
  const topic = place.rest, said = place.values;
  const input = (name, attributes = {}) => h("input", {name, value: said[name] ?? "", ...attributes});
  const unmasked = h("input", {type: "checkbox", name: "unmasked", value: "true", checked: said.unmasked === "true"});
  const form = h("form", {class: "row", onsubmit: event => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target));
    location.hash = `#/topics/${encodeURIComponent(topic)}${query(values)}`;
  }},
    field("Partition", input("partition", {type: "number", min: 0})), field("Offset", input("offset", {type: "number", min: 0})),
    field("or time (RFC 3339, or 90m ago)", input("time")), field("or key", input("key")),
    session.role === "operate" && h("label", {class: "check"}, unmasked, "personal fields too"),
    h("button", {class: "main"}, "Look"));
  const list = h("section", {class: "card", "aria-busy": "true"}, h("p", {class: "quiet"}, "Reading …"));
  fill(root, h("h1", {}, topic), h("section", {class: "card"}, form), list);
  let found;
  try { found = await get(`/api/topics/${encodeURIComponent(topic)}/records${query(said)}`, signal); } catch (fault) {
    if (signal.aborted) return;
    list.removeAttribute("aria-busy");
    return fill(list, h("p", {class: "note bad"}, fault.message));
  }
  list.removeAttribute("aria-busy");
  const last = found.records.at(-1);
  fill(list, h("p", {class: "quiet"}, `${number(found.records.length)} shown of ${number(found.looked)} that were looked at${found.more ? "; older ones were not looked at" : ""}.`),
    found.records.map(record => one(record)),
    said.offset !== undefined && last && h("a", {class: "button", href: `#/topics/${encodeURIComponent(topic)}${query({...said, offset: last.offset + 1})}`}, "Further on"));
}

function one(record) {
  const about = record.record, type = about.headers?.ce_type;
  return h("details", {class: "card record"},
    h("summary", {}, h("span", {class: "mono"}, `${record.partition}/${record.offset} `), record.timestamp ? time(record.timestamp) : "",
      " ", type && chip(type), " ", about.key === null || about.key === undefined ? h("span", {class: "quiet"}, "no key") : h("span", {class: "mono"}, about.key),
      " ", h("span", {class: "quiet"}, `${number(record.body.bytes)} bytes`)),
    headers(Object.entries(about.headers ?? {})), body(record.body));
}

export const headers = entries => entries.length ? h("dl", {class: "mono headers"}, entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])) : null;

export function body(shown, note = "") {
  const words = {none: "There is no body.", hidden: `Not shown: ${shown.text}`}[shown.kind];
  return h("div", {}, note && h("p", {class: "quiet"}, note),
    words ? h("p", {class: "quiet"}, words) : h("pre", {class: shown.kind === "binary" ? "wide" : null, tabindex: 0, "aria-label": "Body"}, shown.text),
    shown.cut && h("p", {class: "quiet"}, `Cut: it has ${number(shown.bytes)} bytes.`));
}
