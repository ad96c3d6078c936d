// Dead letters: what died of what, one of them, and what is done about it.
import {get, link, post, query} from "./api.js";
import {bars} from "./chart.js";
import {above, ask, cell, chip, count, facts, field, figure, fill, form, h, number, pick, press, quiet, say, table, text, tile, time, word} from "./dom.js";
import {body, headers} from "./topics.js";

const names = ["topic", "handler", "reason", "fingerprint", "type", "key", "state", "since", "until", "id"];
const states = ["open", "replaying", "replayed", "resolved", "discarded", "expired"];

export default async function letters(root, place, signal, session) {
  if (place.rest) return letter(root, place, signal, session);
  const filter = Object.fromEntries(names.filter(name => place.values[name]).map(name => [name, place.values[name]]));
  const isFiltered = Object.keys(filter).length > 0, mayAct = session.role === "operate";
  const [groups, list] = await Promise.all([get(`/api/groups${query(filter)}`, signal),
    get(`/api/dead-letters${query({...filter, after: place.values.after, limit: 50})}`, signal)]);
  const input = (label, name, hint) => field(label, h("input", {name, value: filter[name] ?? "", placeholder: hint}));
  // What the form has no field for, and is asked all the same.
  const hidden = ["fingerprint", "id"].filter(name => filter[name]);
  fill(root, h("div", {class: "row mid head"}, h("h1", {}, "Dead letters"), h("a", {class: "push", href: "#/replays"}, "Replays and audit")),
    h("div", {class: "tiles"}, states.map(state => {
      const isChosen = filter.state === state;
      return tile(groups.states[state], state, {href: link("dead-letters", "", {...filter, state: isChosen ? "" : state}), "aria-current": isChosen ? "true" : null});
    })),
    h("section", {class: "card"}, h("form", {class: "fields", onsubmit: event => {
      event.preventDefault();
      location.hash = link("dead-letters", "", {...Object.fromEntries(new FormData(event.target)), fingerprint: filter.fingerprint, id: filter.id});
    }}, input("Handler", "handler"), input("Topic", "topic"), input("Reason", "reason"), input("Type", "type"), input("Key", "key"),
      field("State", pick("state", filter.state ?? "", ["", ...states].map(state => [state, state || "any"]))),
      input("Since", "since", "90m, 12:00"), input("Until", "until", "now"),
      h("div", {class: "row mid"}, h("button", {}, "Filter"), isFiltered && h("a", {href: "#/dead-letters"}, "All"))),
      hidden.map(name => h("p", {class: "also"}, name === "id" ? "These alone: " : "Of one group: ", h("code", {}, filter[name]), " ",
        h("a", {href: link("dead-letters", "", {...filter, [name]: ""})}, "of any")))),
    h("section", {class: "card"}, h("h2", {}, "What they died of"), groups.groups.length ? table(
      ["Error", {n: "Open"}, {n: "Resolved"}, {n: "All"}, "Handler", "24 hours", "First and last", ""], groups.groups.map(group => row(group, filter, mayAct)), "Groups of dead letters")
      : quiet(isFiltered ? "None fits." : "Nothing has died.")),
    h("section", {class: "card"}, h("div", {class: "row mid head"}, h("h2", {}, "One by one"), mayAct && isFiltered && list.dead_letters.length > 0 &&
      h("span", {class: "row push"}, press("Replay these", () => replay(filter), {class: "main small"}),
        press("Discard these", () => move("discard", filter), {class: "small"}),
        press("Restore these", () => move("restore", filter), {class: "small"}))),
      list.dead_letters.length ? table(["Dead letter", "State", "Since", "Handler", "Reason", "Key", "Error"], list.dead_letters.map(one => h("tr", {},
        cell(h("a", {class: "mono", href: link("dead-letters", one.id)}, one.id.slice(0, 8))), cell(chip(one.state), one.replays > 0 && ` ×${one.replays}`),
        cell(time(one.at)), cell(one.handler, h("div", {class: "quiet"}, one.topic)), cell(one.reason), h("td", {class: "mono"}, word(one.key ?? "–")),
        text(one.error || one.error_type || "no message"))), "Dead letters")
        : quiet(isFiltered ? "None fits." : "Nothing has died."),
      h("div", {class: "row"}, place.values.after && h("a", {class: "button", href: link("dead-letters", "", filter)}, "The latest"),
        list.next && h("a", {class: "button", href: link("dead-letters", "", {...filter, after: list.next})}, "Older ones"))));
}

function row(group, filter, mayAct) {
  const mine = {...filter, fingerprint: group.fingerprint}, words = group.error || group.error_type || "no message";
  return h("tr", {}, text(h("a", {href: link("dead-letters", "", mine)}, words),
      h("div", {class: "quiet"}, `${group.reasons.join(", ")} · ${group.topics.join(", ")}`)),
    figure(group.states.open ?? 0), figure(group.states.resolved ?? 0), figure(group.total), cell(group.handler),
    cell(bars(group.hours, "in each of the last 24 hours")), cell(time(group.first), h("br"), time(group.last)),
    // What is replayed is what was counted here: the filter, and of that this group.
    h("td", {class: "act"}, mayAct && group.states.open > 0 && press(["Replay …", h("span", {class: "skip"}, ` ${words}`)], () => replay(mine), {class: "small"})));
}

async function letter(root, place, signal, session) {
  const unmasked = place.values.unmasked === "true";
  const one = await get(`/api/dead-letters/${encodeURIComponent(place.rest)}${query({unmasked})}`, signal);
  const filter = {id: one.id}, mayAct = session.role === "operate";
  const lies = (topic, partition, offset) => h("a", {href: link("topics", topic, {partition, offset: String(offset)})}, `${topic}, partition ${partition}, offset ${offset}`);
  fill(root, above("#/dead-letters", "Dead letters"), h("h1", {class: "mono"}, one.id),
    h("section", {class: "card"}, facts([
      ["State", [chip(one.state), one.replays > 0 && ` after ${count(one.replays, "replay")}`,
        one.job && [", the last is ", h("a", {class: "mono", href: link("replays", one.job)}, one.job)]]],
      ["Error", [one.error_type, one.error].filter(Boolean).join(": ")], ["Reason", one.reason], ["Note", one.note],
      ["Event", [one.type, one.event_id].filter(Boolean).join(" ") + (one.event_source ? ` by ${one.event_source}` : "")],
      ["Key", one.key], ["Handler", `${one.handler}${one.stage ? `, at ${one.stage}` : ""}, after ${count(one.attempts, "attempt")}`],
      ["Source", lies(one.source_topic ?? one.topic, one.partition, one.offset)], ["Lies in", lies(one.dlq_topic, one.dlq_partition, one.dlq_offset)],
      ["Group", h("a", {href: link("dead-letters", "", {fingerprint: one.fingerprint})}, "all that died of the same")]]),
      mayAct && h("div", {class: "row actions"},
        one.state === "open" && [press("Replay …", () => replay(filter), {class: "main"}), press("Discard …", () => move("discard", filter))],
        one.state === "replayed" && press("Give up …", () => move("restore", {...filter, state: "replayed"})),
        one.state === "discarded" && press("Restore …", () => move("restore", filter)),
        press("Note …", () => annotate(one)))),
    h("div", {class: "grid"},
      h("section", {class: "card"}, h("div", {class: "row mid head"}, h("h2", {}, "Body"),
        mayAct && h("a", {class: "push", href: link("dead-letters", one.id, {unmasked: !unmasked})}, unmasked ? "Without personal fields" : "With personal fields")), body(one.body, one.body_note)),
      h("section", {class: "card"}, h("h2", {}, "Story"), h("ol", {class: "story"}, one.story.map(line => h("li", {}, time(line.at, 23), h("div", {}, line.what)))))),
    h("section", {class: "card"}, h("h2", {}, "Headers"), one.headers_note && quiet(one.headers_note), headers(one.headers.map(header => [header.name, header.value])) ?? quiet("None.")));
}

const again = () => dispatchEvent(new HashChangeEvent("hashchange"));

async function annotate(one) {
  const note = await ask("A word for whoever looks next", close => {
    const input = h("input", {name: "note", value: one.note ?? "", maxlength: 500});
    return form(close, () => input.value, [field("Note", input)], "Keep it");
  });
  if (note === undefined) return;
  await post(`/api/dead-letters/${one.id}/note`, {note});
  say(note ? "Noted." : "The note is gone.");
  again();
}

const verbs = {
  discard: {name: "Discard", words: "They stay in their topic, and can be restored for as long as that keeps them.", kind: "danger", done: "discarded"},
  restore: {name: "Restore", words: "They are open again.", kind: "main", done: "restored"},
  open: {name: "Give up", words: "Nobody has told what became of their replay. They are open again, and what may still be told is not waited for. Those that their handler may still come to are left.", kind: "danger", done: "restored"},
};

async function move(verb, filter) {
  const {name, words, kind, done} = verbs[verb === "restore" && filter.state === "replayed" ? "open" : verb];
  const {fit} = await post(`/api/${verb}`, {filter});
  if (!fit) return say(`None fits that could be ${done}.`);
  const isSure = await ask(`${name} ${count(fit, "dead letter")}?`, close => form(close, () => true, h("p", {}, words), `${name} ${number(fit)}`, kind));
  if (!isSure) return;
  const told = await post(`/api/${verb}`, {filter, confirm: fit});
  say(`${count(told[done], "dead letter")} ${verb === "discard" ? "discarded" : "open again"}.${told.left ? ` ${number(told.left)} left: ${told.why}.` : ""}`);
  again();
}

async function replay(filter) {
  const {fit, targets} = await post("/api/replays", {filter});
  if (!fit) return say("None that is open fits.");
  const order = await ask(`Replay ${count(fit, "dead letter")}?`, close => {
    const rate = h("input", {type: "number", name: "rate", min: 1, max: 10000, value: 100, required: true});
    const canary = h("input", {type: "number", name: "canary", min: 0, max: 10000, value: Math.min(5, fit - 1), required: true});
    const list = h("ul"), tell = lines => fill(list, lines.map(line => h("li", {}, line)));
    const source = h("input", {type: "checkbox", name: "to_source", onchange: async () => {
      canary.disabled = source.checked;
      // Who gets them is another question there.
      try { tell((await post("/api/replays", {filter, to_source: source.checked})).targets); } catch (fault) { tell([fault.message]); }
    }});
    tell(targets);
    return form(close, () => ({rate: Number(rate.value), canary: source.checked ? 0 : Number(canary.value), to_source: source.checked}), [
      list,
      h("div", {class: "row"}, field("Records a second", rate), field("First, as a canary", canary)),
      quiet("When more than a fifth of the canary fails again, the others are not tried."),
      h("label", {class: "check"}, source, "to the source topic, for everyone who reads it")], `Replay ${number(fit)}`);
  });
  if (!order) return;
  const job = await post("/api/replays", {filter, confirm: fit, ...order});
  location.hash = link("replays", job.job);
}
