// A chart of any metric over time.
import {lines, query} from "./api.js";
import {chart} from "./chart.js";
import {cell, field, figure, fill, h, number, table, time} from "./dom.js";

const common = ["impressions", "clicks", "conversions", "orders", "revenue"];

export default async function metrics(root, place, signal) {
  const said = {metric: "clicks", step: "1m", since: "1h", of: "count", ...place.values};
  const input = (name, attributes = {}) => h("input", {name, value: said[name] ?? "", ...attributes});
  const select = (name, options) => h("select", {name}, options.map(([value, words]) => h("option", {value, selected: said[name] === value}, words)));
  const form = h("form", {class: "row", onsubmit: event => {
    event.preventDefault();
    location.hash = `#/query${query(Object.fromEntries(new FormData(event.target)))}`;
  }},
    field("Metric", input("metric", {required: true, list: "metrics"})), h("datalist", {id: "metrics"}, common.map(value => h("option", {value}))),
    field("Campaign", input("campaign")), field("Since", input("since")), field("Until", input("until")),
    field("Step", select("step", [["1m", "1 minute"], ["1h", "1 hour"], ["1d", "1 day"]])), field("By dimension", input("by")),
    field("Value", select("of", [["count", "count"], ["sum", "sum"], ["uniques", "uniques"], ["p50", "median"], ["p95", "95 %"], ["p99", "99 %"]])),
    h("button", {class: "main"}, "Show"));
  const result = h("section", {class: "card"}, h("p", {class: "quiet"}, "Asking …"));
  fill(root, h("h1", {}, "Query"), h("section", {class: "card"}, form), result);
  const {of, ...asked} = said;
  try {
    const {found, age} = await lines(`/api/metrics${query(asked)}`, signal);
    show(result, found, age, said);
  } catch (fault) { if (!signal.aborted) fill(result, h("p", {class: "note bad"}, fault.message)); }
}

function show(result, found, age, said) {
  if (!found.length) return fill(result, h("p", {class: "quiet"}, "No window fits."));
  const series = new Map();
  for (const row of found) {
    const name = [said.campaign ? "" : row.campaign_id, ...Object.values(row.dimensions)].filter(Boolean).join(" · ") || row.campaign_id || said.metric;
    if (!series.has(name)) series.set(name, []);
    series.get(name).push([Date.parse(row.window_start), Number(row[said.of] ?? 0)]);
  }
  const total = name => series.get(name).reduce((sum, [, value]) => sum + value, 0);
  const names = [...series.keys()].sort((one, other) => total(other) - total(one));
  const most = names.slice(0, 8);
  fill(result, h("h2", {}, `${said.metric}, ${said.of}, every ${said.step}`),
    chart(`${said.metric}, ${said.of}`, most.map(name => ({name, points: series.get(name)}))),
    h("p", {class: "quiet"}, `${number(found.length)} windows of ${number(names.length)} series${names.length > 8 ? "; the largest 8 are drawn" : ""}; ${age} s old.`),
    h("details", {}, h("summary", {}, "As a table"), table(
      ["Window", "Campaign", "Dimension", {n: "Count"}, {n: "Sum"}, {n: "Uniques"}, {n: "Median"}, {n: "Revision"}],
      found.slice(-200).map(row => h("tr", {}, cell(time(row.window_start)), cell(row.campaign_id), cell(Object.values(row.dimensions).join(" ")),
        figure(row.count), figure(row.sum), figure(row.uniques), figure(row.p50), figure(row.revision))), "Windows")));
}
