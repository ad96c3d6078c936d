// Dead letters: what died of what, one of them, and what is done about it.
import {follow, get, post, query} from "./api.js";
import {bars} from "./chart.js";
import {ask, cell, chip, field, figure, fill, h, number, say, table, text, time} from "./dom.js";
import {body, headers} from "./topics.js";

const names = ["topic", "handler", "reason", "fingerprint", "type", "key", "state", "since", "until", "id"];

export default async function letters(root, place, signal, session) {
  if (place.rest) return letter(root, place, signal, session);
  const filter = Object.fromEntries(names.filter(name => place.values[name]).map(name => [name, place.values[name]]));
  const [groups, list] = await Promise.all([get(`/api/groups${query(filter)}`, signal),
    get(`/api/dead-letters${query({...filter, after: place.values.after, limit: 50})}`, signal)]);
  const states = groups.states;
  const input = (label, name) => field(label, h("input", {name, value: filter[name] ?? "", size: 12}));
  fill(root, h("div", {class: "row mid"}, h("h1", {}, "Dead letters"), h("a", {class: "push", href: "#/replays"}, "Replays and audit")),
    h("div", {class: "tiles"}, ["open", "replaying", "resolved", "discarded", "expired"].map(state =>
      h("a", {class: "tile", href: `#/dead-letters${query({...filter, state})}`}, h("b", {}, number(states[state])), h("span", {}, state)))),
    h("section", {class: "card"}, h("form", {class: "row", onsubmit: event => {
      event.preventDefault();
      location.hash = `#/dead-letters${query({...Object.fromEntries(new FormData(event.target)), fingerprint: filter.fingerprint})}`;
    }}, input("Handler", "handler"), input("Topic", "topic"), input("Reason", "reason"), input("Type", "type"), input("Key", "key"),
      field("State", h("select", {name: "state"}, ["", "open", "replaying", "replayed", "resolved", "discarded", "expired"].map(state => h("option", {value: state, selected: state === (filter.state ?? "")}, state || "any")))),
      input("Since", "since"), input("Until", "until"), h("button", {}, "Filter"),
      Object.keys(filter).length > 0 && h("a", {href: "#/dead-letters"}, "All"))),
    h("section", {class: "card"}, h("h2", {}, "What they died of"), groups.groups.length ? table(
      ["Error", {n: "Open"}, {n: "Resolved"}, {n: "All"}, "Handler", "24 hours", "First", "Last", ""], groups.groups.map(group => row(group, filter, session)), "Groups of dead letters")
      : h("p", {class: "quiet"}, "None fits.")),
    h("section", {class: "card"}, h("div", {class: "row mid"}, h("h2", {}, "One by one"), session.role === "operate" && Object.keys(filter).length > 0 &&
      h("span", {class: "row push"}, h("button", {class: "main small", onclick: () => replay(filter)}, "Replay these"),
        h("button", {class: "small", onclick: () => move("discard", filter)}, "Discard these"),
        h("button", {class: "small", onclick: () => move("restore", filter)}, "Restore these"))),
      table(["Dead letter", "State", "Since", "Handler", "Topic", "Reason", "Key", "Error"], list.dead_letters.map(one => h("tr", {},
        cell(h("a", {class: "mono", href: `#/dead-letters/${one.id}`}, one.id.slice(0, 8))), cell(chip(one.state), one.replays > 0 && ` ×${one.replays}`),
        cell(time(one.at)), cell(one.handler), cell(one.topic), cell(one.reason), h("td", {class: "mono"}, one.key ?? "–"), text(one.error))), "Dead letters"),
      list.next && h("a", {class: "button", href: `#/dead-letters${query({...filter, after: list.next})}`}, "Older ones")));
}

function row(group, filter, session) {
  const mine = {...filter, fingerprint: group.fingerprint};
  return h("tr", {}, text(h("a", {href: `#/dead-letters${query(mine)}`}, group.error || group.error_type || "no message"),
      h("div", {class: "quiet"}, `${group.reasons.join(", ")} · ${group.topics.join(", ")}`)),
    figure(group.states.open ?? 0), figure(group.states.resolved ?? 0), figure(group.total), cell(group.handler),
    cell(bars(group.hours, `in the last 24 hours: ${group.hours.join(", ")}`)), cell(time(group.first)), cell(time(group.last)),
    cell(session.role === "operate" && group.states.open > 0 && h("button", {class: "small", onclick: () => replay({fingerprint: group.fingerprint})}, "Replay …",
      h("span", {class: "skip"}, ` ${group.error}`))));
}

async function letter(root, place, signal, session) {
  const unmasked = place.values.unmasked === "true";
  const one = await get(`/api/dead-letters/${encodeURIComponent(place.rest)}${query({unmasked})}`, signal);
  const filter = {id: one.id}, mayAct = session.role === "operate";
  const rows = {State: [chip(one.state), one.replays > 0 && ` after ${one.replays} replays`], Error: `${one.error_type}: ${one.error}`, Reason: one.reason,
    Event: `${one.type} ${one.event_id} by ${one.event_source}`, Key: one.key ?? "none", Handler: `${one.handler}, at ${one.stage || "?"}`,
    Source: h("a", {href: `#/topics/${encodeURIComponent(one.topic)}${query({partition: one.partition, offset: String(one.offset)})}`}, `${one.topic}, partition ${one.partition}, offset ${one.offset}`),
    "Lies in": `${one.dlq_topic}, partition ${one.dlq_partition}, offset ${one.dlq_offset}`,
    Group: h("a", {href: `#/dead-letters${query({fingerprint: one.fingerprint})}`}, one.fingerprint), Note: one.note};
  fill(root, h("p", {}, h("a", {href: "#/dead-letters"}, "Dead letters")), h("h1", {class: "mono"}, one.id),
    h("section", {class: "card"}, h("dl", {}, Object.entries(rows).filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      mayAct && h("div", {class: "row actions"},
        one.state === "open" && [h("button", {class: "main", onclick: () => replay(filter)}, "Replay"), h("button", {onclick: () => move("discard", filter)}, "Discard")],
        one.state === "discarded" && h("button", {onclick: () => move("restore", filter)}, "Restore"),
        h("button", {onclick: () => annotate(one)}, "Note"))),
    h("div", {class: "grid"},
      h("section", {class: "card"}, h("div", {class: "row mid"}, h("h2", {}, "Body"),
        mayAct && h("a", {class: "push", href: `#/dead-letters/${one.id}${unmasked ? "" : "?unmasked=true"}`}, unmasked ? "Without personal fields" : "With personal fields")), body(one.body, one.body_note)),
      h("section", {class: "card"}, h("h2", {}, "Story"), h("ol", {class: "story"}, one.story.map(line => h("li", {}, time(line.at), line.what))))),
    h("section", {class: "card"}, h("h2", {}, "Headers"), headers(one.headers.map(header => [header.name, header.value])) ?? h("p", {class: "quiet"}, "None.")));
}

const again = () => dispatchEvent(new HashChangeEvent("hashchange"));

async function annotate(one) {
  const note = await ask("A word for whoever looks next", close => {
    const input = h("input", {name: "note", value: one.note ?? "", maxlength: 500});
    return h("form", {onsubmit: event => { event.preventDefault(); close(input.value); }}, field("Note", input), h("div", {class: "row"}, h("button", {class: "main"}, "Keep it")));
  });
  if (note === undefined) return;
  try { await post(`/api/dead-letters/${one.id}/note`, {note}); say("Noted."); again(); } catch (fault) { say(fault.message); }
}

const verbs = {discard: ["Discard", "They stay in their topic, and can be restored for as long as that keeps them."], restore: ["Restore", "They are open again."]};

async function move(verb, filter) {
  try {
    const {fit} = await post(`/api/${verb}`, {filter});
    if (!fit) return say(`None fits that could be ${verb === "discard" ? "discarded" : "restored"}.`);
    const sure = await ask(`${verbs[verb][0]} ${number(fit)}?`, close => h("form", {onsubmit: event => { event.preventDefault(); close(true); }},
      h("p", {}, verbs[verb][1]), h("div", {class: "row"}, h("button", {class: verb === "discard" ? "danger" : "main"}, `${verbs[verb][0]} ${number(fit)}`),
        h("button", {type: "button", onclick: () => close()}, "Leave it"))));
    if (!sure) return;
    const done = await post(`/api/${verb}`, {filter, confirm: fit});
    say(`${number(done.discarded ?? done.restored)} ${verb === "discard" ? "discarded" : "open again"}.`);
    again();
  } catch (fault) { say(fault.message); }
}

async function replay(filter) {
  try {
    const {fit, targets} = await post("/api/replays", {filter});
    if (!fit) return say("None that is open fits.");
    const order = await ask(`Replay ${number(fit)}?`, close => {
      const rate = h("input", {type: "number", name: "rate", min: 1, max: 10000, value: 100});
      const canary = h("input", {type: "number", name: "canary", min: 0, max: 10000, value: Math.min(5, fit - 1)});
      const source = h("input", {type: "checkbox", name: "to_source", onchange: () => { canary.disabled = source.checked; }});
      return h("form", {onsubmit: event => { event.preventDefault(); close({rate: Number(rate.value), canary: source.checked ? 0 : Number(canary.value), to_source: source.checked}); }},
        h("ul", {}, targets.map(line => h("li", {}, line))),
        h("div", {class: "row"}, field("Records a second", rate), field("First, as a canary", canary)),
        h("label", {class: "check"}, source, "to the source topic, for everyone who reads it"),
        h("div", {class: "row"}, h("button", {class: "main"}, `Replay ${number(fit)}`), h("button", {type: "button", onclick: () => close()}, "Leave it")));
    });
    if (!order) return;
    const job = await post("/api/replays", {filter, confirm: fit, ...order});
    location.hash = `#/replays/${job.job}`;
  } catch (fault) { say(fault.message); }
}

/** Replays and audit, or one replay as it goes on. */
export async function replays(root, place, signal, session) {
  if (place.rest) return following(root, place.rest, signal, session);
  const [jobs, audit] = await Promise.all([get("/api/replays", signal), get("/api/audit", signal)]);
  fill(root, h("h1", {}, "Replays and audit"),
    h("section", {class: "card"}, h("h2", {}, "Replays"), table(["Replay", "State", {n: "All"}, {n: "Resolved"}, {n: "Failed"}, "Made", "By"], jobs.replays.map(job => h("tr", {},
      cell(h("a", {class: "mono", href: `#/replays/${job.job}`}, job.job)), cell(chip(job.state)), figure(job.total), figure(job.resolved), figure(job.failed), cell(time(job.made_at)), cell(job.made_by))), "Replays")),
    h("section", {class: "card"}, h("h2", {}, "Who changed what"), table(["When", "Who", "What", {n: "Count"}, "Result", "Which"], audit.audit.map(line => h("tr", {},
      cell(time(line.at)), cell(line.who), cell(line.verb), figure(line.count), text(line.result), h("td", {class: "mono text"}, JSON.stringify(line.filter)))), "Audit")));
}

function following(root, id, signal, session) {
  const about = h("div");
  fill(root, h("p", {}, h("a", {href: "#/replays"}, "Replays")), h("h1", {}, "Replay ", h("span", {class: "mono"}, id)), about);
  const change = verb => async () => {
    try { await post(`/api/replays/${encodeURIComponent(id)}/${verb}`); say(`Replay: ${verb}.`); } catch (fault) { say(fault.message); }
  };
  const state = h("p"), bar = h("progress", {"aria-label": "Ended"}), tiles = h("div", {class: "tiles"}), more = h("div"), buttons = h("div", {class: "row"});
  let offered;
  follow(`/api/replays/${encodeURIComponent(id)}/events`, signal, (_, job) => {
    if (!about.querySelector("section")) fill(about, h("section", {class: "card"}, state, bar, tiles, more, buttons));
    about.firstChild.dataset.state = job.state;
    bar.max = Math.max(1, job.total);
    bar.value = Math.min(job.total, job.to_source ? job.published : job.resolved + job.failed + job.skipped);
    fill(state, chip(job.state), " ", job.reason);
    fill(tiles, [["All", job.total], ["Published", job.published], ["Resolved", job.resolved], ["Failed again", job.failed], ["Skipped", job.skipped]].map(([name, value]) =>
      h("div", {class: "tile"}, h("b", {}, number(value)), h("span", {}, name))));
    fill(more, job.state === "waiting" && !job.has_worker && h("p", {class: "note"}, "It waits for a worker: start flotilla work deadletters."),
      job.troubles.length > 0 && h("ul", {}, job.troubles.map(trouble => h("li", {}, `${trouble.count} × ${trouble.outcome}`))));
    // They stay while they mean the same: one that somebody presses must not be another one when they let go.
    const offer = job.over ? "over" : job.stands ? "stands" : "runs";
    if (offer !== offered) {
      offered = offer;
      fill(buttons, job.over ? h("a", {href: "#/dead-letters"}, "Dead letters") : session.role === "operate" && [
        job.stands ? h("button", {class: "main", onclick: change("resume")}, "Resume") : h("button", {onclick: change("pause")}, "Pause"),
        h("button", {class: "danger", onclick: change("cancel")}, "Cancel")]);
    }
    return !job.over;
  }, words => { say(words); });
}
