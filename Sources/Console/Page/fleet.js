// The fleet as it moves: handlers, workers, throughput and lag.
import {follow, post} from "./api.js";
import {chart} from "./chart.js";
import {ask, cell, chip, field, fill, form, h, number, press, quiet, say, size, span, table, tile} from "./dom.js";

const kept = 300;

/**
 * A table whose rows stay as long as what they show does: a button that somebody presses must not be another one when they
 * let go, and whoever has scrolled it finds it where it was. `make` gives {row, show}.
 */
function living(host, heading, titles, empty, make) {
  const rows = new Map();
  let before;
  return (list, name) => {
    const names = list.map(name), now = JSON.stringify(names);
    if (now !== before) {
      before = now;
      for (const old of [...rows.keys()]) if (!names.includes(old)) rows.delete(old);
      for (const one of list) if (!rows.has(name(one))) rows.set(name(one), make(one));
      fill(host, h("h2", {}, heading), list.length ? table(titles, names.map(one => rows.get(one).row), heading) : quiet(empty));
    }
    for (const one of list) rows.get(name(one)).show(one);
  };
}

/** Numbers as 0–5, 7. */
const ranges = numbers => {
  const sorted = [...numbers].sort((one, other) => one - other), found = [];
  for (const number of sorted) {
    if (found.length && found.at(-1)[1] === number - 1) found.at(-1)[1] = number; else found.push([number, number]);
  }
  return found.map(([first, last]) => first === last ? `${first}` : `${first}–${last}`).join(", ");
};

/** Partitions by topic, and those of retries and replays with the topic that they come of. */
function partitions(worker) {
  const topics = new Map();
  for (const place of worker.partitions) {
    const end = place.lastIndexOf("/"), topic = place.slice(0, end);
    if (!topics.has(topic)) topics.set(topic, []);
    topics.get(topic).push(Number(place.slice(end + 1)));
  }
  const lines = [];
  for (const [topic, numbers] of topics) {
    const source = [...topics.keys()].find(other => worker.handlers.some(handler => topic.startsWith(`${other}.${handler}.`)));
    if (source && ranges(topics.get(source)) === ranges(numbers)) continue;
    const own = ranges(numbers);
    const kinds = ["retry", "replay"].filter(kind => [...topics].some(([other, theirs]) =>
      worker.handlers.some(handler => other.startsWith(`${topic}.${handler}.${kind}`)) && ranges(theirs) === own));
    lines.push(`${topic} ${own}${kinds.length ? `, with ${kinds.map(kind => ({retry: "retries", replay: "replays"})[kind]).join(" and ")}` : ""}`);
  }
  return lines;
}

export default async function fleet(root, _, signal, session) {
  const tiles = h("div", {class: "tiles"}), rate = h("div"), lag = h("div"), trouble = h("div"), lost = h("div");
  const handlers = h("section", {class: "card"}, quiet("Looking …")), workers = h("section", {class: "card"}, quiet("Looking …"));
  fill(root, h("h1", {}, "Fleet"), lost, trouble, tiles,
    h("div", {class: "grid"},
      h("section", {class: "card"}, h("h2", {}, "Events a second"), rate),
      h("section", {class: "card"}, h("h2", {}, "Records that wait"), lag)),
    handlers, workers);
  const past = [];

  async function pause(name) {
    const reason = await ask(`Pause ${name}?`, close => {
      const input = h("input", {name: "reason", maxlength: 500});
      return form(close, () => ({reason: input.value}), [
        h("p", {}, "What is under way is finished. It stands still until somebody resumes it, over restarts too."),
        field("Why, for whoever finds it standing", input)], "Pause", "danger");
    });
    if (reason) await change(name, "pause", reason, `${name} is to stand still.`);
  }

  async function change(name, verb, order, words) {
    const {not_in_audit: why} = await post(`/api/handlers/${encodeURIComponent(name)}/${verb}`, order);
    if (why) say(`${words} It is not in the audit: ${why}`, "bad"); else say(words);
  }

  function handler(one) {
    const name = one.handler, told = h("td"), numbers = Array.from({length: 5}, () => h("td", {class: "n"}));
    const advice = h("td", {class: "text"}), wordOfButton = h("span"), act = h("td", {class: "act"});
    let stands = [];
    if (session.role === "operate") {
      act.append(press([wordOfButton, h("span", {class: "skip"}, ` ${name}`)],
        async () => {
          if (!stands.length) return pause(name);
          for (const partition of stands) await change(name, "resume", partition === null ? {} : {partition}, `${name} goes on.`);
        }, {class: "small", id: `stand-${name}`}));
    }
    return {row: h("tr", {}, cell(h("b", {}, name)), told, numbers, advice, act), show(now) {
      stands = now.paused_partitions;
      fill(told, state(now));
      [number(now.workers), number(now.partitions), number(now.rate), number(now.lag), span(now.lag_seconds)].forEach((words, index) => { numbers[index].textContent = words; });
      fill(advice, [now.advice, ...now.paused.filter(word => word !== now.advice && !now.advice?.startsWith(`${word}:`))].filter(Boolean).join("; ") || h("span", {class: "quiet none"}, "–"));
      const words = stands.length ? "Resume" : "Pause";
      if (wordOfButton.textContent !== words) fill(wordOfButton, words);
    }};
  }

  function state(one) {
    const chips = [], working = one.workers - one.standbys;
    if (one.standing.length) chips.push(chip("paused", "warn"));
    // What keeps a process from working may be said in many words: those are behind.
    for (const name of one.missing) chips.push(/^[\w.-]{1,40}$/.test(name) ? chip(`breaker open: ${name}`, "bad") : chip("cannot work", "bad"));
    if (!one.workers) chips.push(chip("no worker", "bad"));
    if (!chips.length && working) chips.push(chip("works", "good"));
    if (one.unnamed) chips.push(chip("no topic file", "warn"));
    if (one.standbys) chips.push(chip(one.standbys === 1 ? "1 stands by" : `${one.standbys} stand by`));
    return h("span", {class: "chips"}, chips);
  }

  function worker(one) {
    const cells = Array.from({length: 2}, () => h("td", {class: "n"})), where = h("td", {class: "text"});
    let before;
    return {row: h("tr", {}, h("td", {class: "mono", title: one.id}, one.id.slice(-12)),
      cell(h("span", {class: "chips"}, one.handlers.join(", "), one.stands_by && chip("stands by"))), h("td", {class: "n"}, String(one.pid)), cells, where), show(now) {
      cells[0].textContent = number(now.cores);
      cells[1].textContent = size(now.memory_bytes);
      const found = partitions(now);
      if (found.join() !== before) {
        before = found.join();
        fill(where, found.length ? found.map(line => h("div", {}, line)) : h("span", {class: "quiet none"}, "–"));
      }
    }};
  }

  const showHandlers = living(handlers, "Handlers",
    ["Handler", "State", {n: "Workers"}, {n: "Partitions"}, {n: "Events/s"}, {n: "Waiting"}, {n: "Behind"}, "What would help", ""],
    "No topic file names a handler.", handler);
  const showWorkers = living(workers, "Workers", ["Worker", "Handlers", {n: "Process"}, {n: "Cores"}, {n: "Memory"}, "Partitions"],
    "Nobody works, or Redis is away.", worker);

  function show(now) {
    fill(trouble, now.trouble && h("p", {class: "note bad"}, `The fleet cannot be seen: ${now.trouble}`));
    if (now.trouble) return;
    const sum = name => now.handlers.reduce((total, one) => total + one[name], 0);
    const behind = Math.max(0, ...now.handlers.map(one => one.lag_seconds ?? 0));
    fill(tiles, tile(now.handlers.length, now.handlers.length === 1 ? "Handler" : "Handlers"),
      tile(now.workers.length, now.workers.length === 1 ? "Worker" : "Workers"), tile(sum("rate"), "Events a second"),
      tile(sum("lag"), "Records waiting"), tile(span(behind), "Behind"));
    const series = name => now.handlers.filter(one => one.partitions > 0).map(one => ({name: one.handler,
      points: past.filter(moment => one.handler in moment[name]).map(moment => [moment.at, moment[name][one.handler]])}));
    // Looks are seconds apart, and ten when nobody looks.
    chart(rate, "Events a second", series("rate"), 30_000);
    chart(lag, "Records that wait", series("lag"), 30_000);
    showHandlers(now.handlers, one => one.handler);
    showWorkers(now.workers, one => `${one.id} ${one.stands_by}`);
  }

  function note(now) {
    const moment = {at: now.at, rate: {}, lag: {}};
    for (const one of now.handlers) { moment.rate[one.handler] = one.rate; moment.lag[one.handler] = one.lag; }
    past.push(moment);
    past.splice(0, past.length - kept);
  }

  follow("/api/fleet/events", signal, (name, event) => {
    if (name === "past") { past.splice(0, past.length, ...event.past); show(event.now); } else { if (!event.trouble) note(event); show(event); }
  }, words => fill(lost, words && h("p", {class: "note bad"}, words)));
}
