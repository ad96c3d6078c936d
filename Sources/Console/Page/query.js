// A chart of any metric over time.
import {lines, link, query} from "./api.js";
import {chart} from "./chart.js";
import {cell, count, field, figure, fill, h, number, pick, quiet, table, time} from "./dom.js";

const common = ["impressions", "clicks", "conversions", "orders", "revenue"];
const steps = [["1m", "1 minute"], ["1h", "1 hour"], ["1d", "1 day"]], lengths = {"1m": 60_000, "1h": 3_600_000, "1d": 86_400_000};
const values = [["count", "count"], ["sum", "sum"], ["uniques", "uniques"], ["p50", "median"], ["p95", "95 %"], ["p99", "99 %"]];
const mostRows = 200;

export default async function metrics(root, place, signal) {
  const said = {metric: "clicks", step: "1m", since: "1h", of: "count", ...place.values};
  const input = (name, attributes = {}) => h("input", {name, value: said[name] ?? "", ...attributes});
  const form = h("form", {class: "fields", onsubmit: event => {
    event.preventDefault();
    location.hash = link("query", "", Object.fromEntries(new FormData(event.target)));
    // The same question again is asked again.
    if (location.hash === asked) dispatchEvent(new HashChangeEvent("hashchange"));
  }},
    field("Metric", input("metric", {required: true, list: "metrics"})), h("datalist", {id: "metrics"}, common.map(value => h("option", {value}))),
    field("Campaign", input("campaign", {placeholder: "all"})), field("By dimension", input("by", {placeholder: "none"})),
    field("Since", input("since", {placeholder: "90m, 7d"})), field("Until", input("until", {placeholder: "now"})),
    field("Step", pick("step", said.step, steps)), field("Value", pick("of", said.of, values)),
    h("div", {class: "row"}, h("button", {class: "main"}, "Show")));
  const asked = location.hash;
  const result = h("section", {class: "card", "aria-busy": "true"}, quiet("Asking …"));
  fill(root, h("h1", {}, "Query"), h("section", {class: "card"}, form), result);
  const {of, ...wanted} = said;
  try {
    const {found, age} = await lines(`/api/metrics${query(wanted)}`, signal);
    show(result, found, age, said, signal);
  } catch (fault) { if (!signal.aborted) fill(result, h("p", {class: "note bad"}, fault.message)); }
  result.removeAttribute("aria-busy");
}

function show(result, found, age, said, signal) {
  if (!found.length) return fill(result, quiet("No window fits."));
  const series = new Map();
  for (const row of found) {
    const name = [said.campaign ? "" : row.campaign_id, ...Object.values(row.dimensions)].filter(Boolean).join(" · ") || row.campaign_id || said.metric;
    if (!series.has(name)) series.set(name, []);
    series.get(name).push([Date.parse(row.window_start), Number(row[said.of] ?? 0)]);
  }
  const total = name => series.get(name).reduce((sum, [, value]) => sum + value, 0);
  const names = [...series.keys()].sort((one, other) => total(other) - total(one)), most = names.slice(0, 8);
  const value = values.find(([name]) => name === said.of)?.[1] ?? said.of, step = steps.find(([name]) => name === said.step)?.[1] ?? said.step;
  const picture = h("div"), draw = () => chart(picture, `${said.metric}, ${value}`, most.map(name => ({name, points: series.get(name)})), lengths[said.step]);
  fill(result, h("h2", {}, `${said.metric}: ${value} in windows of ${step}`), picture,
    quiet(`${count(found.length, "window")} of ${number(names.length)} series${names.length > 8 ? ", of which the largest 8 are drawn" : ""}${age > 0 ? `; ${age} s old` : ""}.`),
    h("details", {}, h("summary", {}, "As a table"), found.length > mostRows && quiet(`The last ${mostRows}. All: flotilla query.`), table(
      ["Window", "Campaign", "Dimension", {n: "Count"}, {n: "Sum"}, {n: "Uniques"}, {n: "Median"}, {n: "95 %"}, {n: "99 %"}, {n: "Revision"}],
      found.slice(-mostRows).map(row => h("tr", {}, cell(time(row.window_start, 16)), cell(row.campaign_id || "all"), cell(Object.values(row.dimensions).join(" ") || "–"),
        [row.count, row.sum, row.uniques, row.p50, row.p95, row.p99].map(figure), figure(row.revision))), "Windows")));
  draw();
  const watch = new ResizeObserver(draw);
  watch.observe(result);
  signal.addEventListener("abort", () => watch.disconnect());
}
