// Line charts, drawn as wide as there is room, so that their letters are as large as all others.
import {fill, h, number} from "./dom.js";

const height = 210, left = 56, right = 36, top = 12, bottom = 26;

/** Lines at round values, five at most beside the first; counts have none between two numbers. */
function levels(most, isWhole) {
  if (most <= 0) return [0, 1];
  const unit = 10 ** Math.floor(Math.log10(most) - 1);
  const found = [1, 2, 5, 10, 20].map(part => part * unit).find(part => most / part <= 5);
  const step = isWhole ? Math.max(1, found) : found;
  return Array.from({length: Math.ceil(most / step - 1e-9) + 1}, (_, index) => index * step);
}

const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
const steps = [second, 2 * second, 5 * second, 10 * second, 15 * second, 30 * second, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute,
  30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day, 28 * day, 91 * day, 365 * day];

const clock = (at, step) => {
  const told = new Date(at).toISOString();
  return step >= day ? told.slice(5, 10) : step >= minute ? told.slice(11, 16) : told.slice(11, 19);
};

/** Where somebody points in a chart stays when it is drawn anew. */
const pointed = new WeakMap();

/**
 * Draws into `host`. series: [{name, points: [[at, value]]}]. Points that are further apart than `gap` are not joined: nobody
 * knows what was between them. It says in words what it shows, for whoever does not see it.
 */
export function chart(host, title, series, gap = Infinity) {
  const all = series.flatMap(one => one.points);
  if (!all.length) return fill(host, h("p", {class: "quiet"}, "Nothing to show yet."));
  let from = Infinity, to = -Infinity, most = 0;
  for (const [at, value] of all) { from = Math.min(from, at); to = Math.max(to, at); most = Math.max(most, value); }
  const wide = gap < Infinity ? gap : minute;
  if (from === to) { from -= wide; to += wide; }
  const width = Math.max(260, host.clientWidth || 640), marks = levels(most, all.every(([, value]) => Number.isInteger(value))), ceiling = marks.at(-1);
  const x = at => left + (at - from) / (to - from) * (width - left - right);
  const y = value => height - bottom - value / ceiling * (height - top - bottom);
  const joined = (points, index) => index > 0 && points[index][0] - points[index - 1][0] <= gap;
  const path = points => points.map(([at, value], index) => `${joined(points, index) ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  // One that is joined to none would not be seen.
  const alone = points => points.filter((_, index) => !joined(points, index) && !(index + 1 < points.length && joined(points, index + 1)));
  const step = steps.find(one => (to - from) / one * 76 <= width - left - right) ?? steps.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);

  const line = h("line", {class: "pointer", y1: top, y2: height - bottom}), values = series.map(() => h("b")), moment = h("span", {class: "quiet"});
  const svg = h("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "img",
    "aria-label": `${title}: ${series.map(one => `${one.name} ${number(one.points.at(-1)?.[1])}`).join(", ")}`,
    onpointermove: event => { pointed.set(host, (event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth); point(); },
    onpointerleave: () => { pointed.delete(host); point(); }},
    marks.map(mark => [h("line", {class: "axis", x1: left, x2: width - right, y1: y(mark), y2: y(mark)}),
      h("text", {x: left - 8, y: y(mark) + 4, "text-anchor": "end"}, number(Number(mark.toPrecision(6))))]),
    ticks.map(at => [
      h("line", {class: "axis", x1: x(at), x2: x(at), y1: height - bottom, y2: height - bottom + 5}),
      h("text", {x: x(at), y: height - 7, "text-anchor": "middle"}, clock(at, step))]),
    series.map((one, index) => [
      h("path", {class: `line s${index % 8}`, d: path(one.points)}),
      alone(one.points).map(([at, value]) => h("circle", {class: `dot s${index % 8}`, cx: x(at), cy: y(value), r: 3.5}))]), line);

  /** The values where somebody points; the latest when nobody does. */
  function point() {
    const part = pointed.get(host);
    const at = part === undefined ? undefined : from + (part * width - left) / (width - left - right) * (to - from);
    const near = points => at === undefined ? points.at(-1) : points.reduce((best, one) => Math.abs(one[0] - at) < Math.abs(best[0] - at) ? one : best, points[0]);
    const nearest = at === undefined ? undefined : near(all);
    series.forEach((one, index) => {
      const found = near(one.points);
      values[index].textContent = nearest && found && Math.abs(found[0] - nearest[0]) > wide ? "–" : number(found?.[1]);
    });
    moment.textContent = nearest ? new Date(nearest[0]).toISOString().slice(0, 19).replace("T", " ") : "";
    line.setAttribute("visibility", nearest ? "visible" : "hidden");
    if (nearest) for (const end of ["x1", "x2"]) line.setAttribute(end, x(nearest[0]));
  }
  point();
  fill(host, h("figure", {class: "figure"}, svg, h("figcaption", {class: "legend"}, series.map((one, index) => h("span", {},
    h("svg", {viewBox: "0 0 16 10", "aria-hidden": "true"}, h("line", {class: `s${index % 8}`, x1: 0, x2: 16, y1: 5, y2: 5})),
    `${one.name} `, values[index])), moment)));
}

/** A row of small bars, the last of which is now; `words` says what each of them is. */
export function bars(values, words) {
  const most = Math.max(1, ...values);
  return h("span", {class: "bars"}, h("svg", {viewBox: `0 0 ${values.length * 4} 24`, role: "img", "aria-label": `${words}: ${values.join(", ")}`, preserveAspectRatio: "none"},
    values.map((value, index) => {
      const tall = value ? Math.max(4, value / most * 24) : 1;
      return h("rect", {x: index * 4, y: 24 - tall, width: 3, height: tall, class: value ? null : "none"},
        h("title", {}, `${number(value)}, ${index + 1 === values.length ? "this hour" : `${values.length - 1 - index} h ago`}`));
    })));
}
