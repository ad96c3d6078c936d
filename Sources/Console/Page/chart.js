// Line charts: one path a series.
import {h, number} from "./dom.js";

const width = 640, height = 200, left = 52, right = 10, top = 10, bottom = 24;

const round = top => {
  if (top <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].map(step => step * unit).find(step => step >= top);
};

const clock = (at, from, to) => {
  const text = new Date(at).toISOString();
  return to - from > 3 * 86400e3 ? text.slice(5, 10) : to - from > 900e3 ? text.slice(11, 16) : text.slice(11, 19);
};

/** series: [{name, points: [[at, value]]}]. Says in words what it shows, for whoever does not see it. */
export function chart(title, series, unit = "") {
  const all = series.flatMap(one => one.points);
  if (!all.length) return h("p", {class: "quiet"}, "Nothing to show yet.");
  let from = Infinity, to = -Infinity, most = 0;
  for (const [at, value] of all) { from = Math.min(from, at); to = Math.max(to, at); most = Math.max(most, value); }
  if (from === to) from = to - 1000;
  const ceiling = round(most);
  const x = at => left + (at - from) / (to - from) * (width - left - right);
  const y = value => height - bottom - value / ceiling * (height - top - bottom);
  const path = points => points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const words = series.map(one => `${one.name} ${number(one.points.at(-1)?.[1])}${unit}`).join(", ");
  return h("figure", {class: "figure"},
    h("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${words}`},
      h("title", {}, title),
      [0, .5, 1].map(part => [
        h("line", {class: "axis", x1: left, x2: width - right, y1: y(ceiling * part), y2: y(ceiling * part)}),
        h("text", {x: left - 6, y: y(ceiling * part) + 4, "text-anchor": "end"}, number(ceiling * part))]),
      h("text", {x: left, y: height - 6}, clock(from, from, to)),
      h("text", {x: width - right, y: height - 6, "text-anchor": "end"}, clock(to, from, to)),
      series.map((one, index) => h("path", {class: `line s${index % 8}`, d: path(one.points)}))),
    h("div", {class: "legend"}, series.map((one, index) => h("span", {},
      h("svg", {viewBox: "0 0 16 10", "aria-hidden": "true"}, h("line", {class: `s${index % 8}`, x1: 0, x2: 16, y1: 5, y2: 5})),
      `${one.name} `, h("b", {}, `${number(one.points.at(-1)?.[1])}${unit}`)))));
}

/** A row of small bars. */
export function bars(values, words) {
  const most = Math.max(1, ...values);
  return h("span", {class: "bars"}, h("svg", {viewBox: `0 0 ${values.length * 4} 24`, role: "img", "aria-label": words, preserveAspectRatio: "none"},
    values.map((value, index) => {
      const tall = value ? Math.max(3, value / most * 24) : 1;
      return h("rect", {x: index * 4, y: 24 - tall, width: 3, height: tall, class: value ? null : "none"});
    })));
}
