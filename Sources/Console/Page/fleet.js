// The fleet as it moves: handlers, workers, throughput and lag.
import {follow, post} from "./api.js";
import {chart} from "./chart.js";
import {ask, cell, chip, field, figure, fill, h, number, say, span, table, text} from "./dom.js";

const kept = 300;

export default async function fleet(root, _, signal, session) {
  const tiles = h("div", {class: "tiles"}), rate = h("div"), lag = h("div"), trouble = h("div");
  const handlers = h("section", {class: "card"}), workers = h("section", {class: "card"});
  fill(root, h("h1", {}, "Fleet"), trouble, tiles,
    h("div", {class: "grid"},
      h("section", {class: "card"}, h("h2", {}, "Events a second"), rate),
      h("section", {class: "card"}, h("h2", {}, "Records that wait"), lag)),
    handlers, workers);
  const past = [];

  async function pause(name) {
    const reason = await ask(`Pause ${name}?`, close => {
      const input = h("input", {name: "reason", maxlength: 400});
      return h("form", {onsubmit: event => { event.preventDefault(); close({reason: input.value}); }},
        h("p", {}, "What is under way is finished. It stands still until somebody resumes it, over restarts too."),
        field("Why, for whoever finds it standing", input),
        h("div", {class: "row"}, h("button", {class: "danger"}, "Pause"),
          h("button", {type: "button", onclick: () => close()}, "Leave it")));
    });
    if (!reason) return;
    try { await post(`/api/handlers/${encodeURIComponent(name)}/pause`, reason); say(`${name} is to stand still.`); } catch (fault) { say(fault.message); }
  }

  async function resume(name) {
    try { await post(`/api/handlers/${encodeURIComponent(name)}/resume`); say(`${name} goes on.`); } catch (fault) { say(fault.message); }
  }

  function action(name) {
    const word = h("span"), button = h("button", {class: "small", id: `stand-${name}`, onclick: () => button.dataset.stands ? resume(name) : pause(name)},
      word, h("span", {class: "skip"}, ` ${name}`));
    return {button, show: stands => { button.dataset.stands = stands ? "yes" : ""; if (word.textContent !== (stands ? "Resume" : "Pause")) fill(word, stands ? "Resume" : "Pause"); }};
  }

  // Rows stay as long as their handlers do: a button that somebody presses must not be another one when they let go.
  const rows = new Map();

  function showHandlers(list) {
    const names = list.map(one => one.handler);
    if (names.join() !== [...rows.keys()].join()) {
      rows.clear();
      for (const one of list) {
        const told = h("td"), last = h("td"), act = session.role === "operate" && one.partitions > 0 ? action(one.handler) : null;
        if (act) last.append(act.button);
        const numbers = Array.from({length: 5}, () => h("td", {class: "n"})), advice = h("td", {class: "text"});
        rows.set(one.handler, {row: h("tr", {}, cell(h("b", {}, one.handler)), told, numbers, advice, last), told, numbers, advice, act});
      }
      fill(handlers, h("h2", {}, "Handlers"), table(
        ["Handler", "State", {n: "Workers"}, {n: "Partitions"}, {n: "Events/s"}, {n: "Waiting"}, {n: "Behind"}, "What would help", ""],
        [...rows.values()].map(one => one.row), "Handlers"));
    }
    for (const one of list) {
      const mine = rows.get(one.handler);
      fill(mine.told, state(one));
      [number(one.workers), number(one.partitions), number(one.rate), number(one.lag), span(one.lag_seconds)].forEach((words, index) => { mine.numbers[index].textContent = words; });
      fill(mine.advice, [one.advice, ...one.paused.filter(word => word !== one.advice)].filter(Boolean).join("; ") || "nothing");
      mine.act?.show(one.standing.length > 0);
    }
  }

  function state(one) {
    const chips = [];
    if (one.standing.length) chips.push(chip("paused", "warn"));
    for (const name of one.missing) chips.push(chip(`breaker open: ${name}`, "bad"));
    if (!one.workers) chips.push(chip("no worker", "bad"));
    return chips.length ? chips : chip("works", "good");
  }

  function show(now) {
    fill(trouble, now.trouble && h("p", {class: "note bad"}, `The fleet cannot be seen: ${now.trouble}`));
    const sum = name => now.handlers.reduce((total, one) => total + one[name], 0);
    const behind = Math.max(0, ...now.handlers.map(one => one.lag_seconds ?? 0));
    fill(tiles, [["Handlers", now.handlers.length], ["Workers", now.workers.length], ["Events a second", sum("rate")],
      ["Records waiting", sum("lag")], ["Behind", span(behind)]].map(([name, value]) =>
      h("div", {class: "tile"}, h("b", {}, typeof value === "number" ? number(value) : value), h("span", {}, name))));
    const series = name => now.handlers.map(one => ({name: one.handler, points: past.filter(moment => one.handler in moment[name]).map(moment => [moment.at, moment[name][one.handler]])}));
    fill(rate, chart("Events a second", series("rate")));
    fill(lag, chart("Records that wait", series("lag")));
    showHandlers(now.handlers);
    fill(workers, h("h2", {}, "Workers"), now.workers.length ? table(
      ["Worker", "Handlers", {n: "Process"}, {n: "Cores"}, {n: "Memory"}, "Partitions"],
      now.workers.map(one => h("tr", {}, h("td", {class: "mono"}, one.id.slice(-12)), cell(one.handlers.join(", ")), h("td", {class: "n"}, String(one.pid)),
        figure(one.cores), h("td", {class: "n"}, `${number(one.memory_bytes / 1048576)} MiB`), text(one.partitions.join(" ") || "none"))), "Workers")
      : h("p", {class: "quiet"}, "Nobody works, or Redis is away."));
  }

  function note(now) {
    const moment = {at: now.at, rate: {}, lag: {}};
    for (const one of now.handlers) { moment.rate[one.handler] = one.rate; moment.lag[one.handler] = one.lag; }
    past.push(moment);
    past.splice(0, past.length - kept);
  }

  follow("/api/fleet/events", signal, (name, event) => {
    if (name === "past") { past.splice(0, past.length, ...event.past); show(event.now); } else { if (!event.trouble) note(event); show(event); }
  }, words => fill(trouble, h("p", {class: "note bad"}, words)));
}
