// Replays and audit, or one replay as it goes on.
import {follow, get, link, post} from "./api.js";
import {above, cell, chip, count, facts, figure, fill, h, number, press, quiet, say, table, text, tile, time} from "./dom.js";

export default async function replays(root, place, signal, session) {
  if (place.rest) return following(root, place.rest, signal, session);
  const [jobs, audit] = await Promise.all([get("/api/replays", signal), get("/api/audit", signal)]);
  fill(root, above("#/dead-letters", "Dead letters"), h("h1", {}, "Replays and audit"),
    h("section", {class: "card"}, h("h2", {}, "Replays"), jobs.replays.length ? table(
      ["Replay", "State", {n: "All"}, {n: "Resolved"}, {n: "Failed"}, {n: "Skipped"}, "Made", "By", "Which"], jobs.replays.map(job => h("tr", {},
        cell(h("a", {class: "mono", href: link("replays", job.job)}, job.job)), cell(chip(job.state)), figure(job.total), figure(job.resolved), figure(job.failed), figure(job.skipped),
        cell(time(job.made_at)), cell(job.made_by), text(which(job.filter)))), "Replays") : quiet("Nothing has been replayed.")),
    h("section", {class: "card"}, h("h2", {}, "Who changed what"), audit.audit.length ? table(
      ["When", "Who", "What", {n: "Count"}, "Result", "Which"], audit.audit.map(line => h("tr", {},
        cell(time(line.at)), cell(line.who), cell(line.verb), figure(line.count), text(line.result),
        text(line.job && h("div", {}, "replay ", h("a", {class: "mono", href: link("replays", line.job)}, line.job)), which(line.filter)))), "Audit") : quiet("Nobody has changed anything.")));
}

const done = {pause: "paused", resume: "goes on", cancel: "cancelled"};

/** A filter in words. */
const which = filter => typeof filter !== "object" || filter === null ? String(filter)
  : Object.entries(filter).map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(", ") : value}`).join("; ");

/** An outcome in words. */
const outcome = words => words.replace(/^dead:(.*)$/, "a dead letter again: $1").replace(/^cancelled$/, "given up before it was sent");

function following(root, id, signal, session) {
  const lost = h("div"), about = h("section", {class: "card"}, quiet("Looking …"));
  fill(root, above("#/replays", "Replays and audit"), h("h1", {}, "Replay ", h("span", {class: "mono"}, id)), lost, about);
  const change = verb => async () => {
    await post(`/api/replays/${encodeURIComponent(id)}/${verb}`);
    say(`Replay ${id}: ${done[verb]}.`);
  };
  const state = h("p", {class: "state"}), bar = h("progress", {"aria-label": "Ended"}), tiles = h("div", {class: "tiles"});
  const more = h("div"), made = h("div"), buttons = h("div", {class: "row actions"});
  let offered;
  follow(`/api/replays/${encodeURIComponent(id)}/events`, signal, (name, job) => {
    fill(lost, name === "trouble" && h("p", {class: "note bad"}, `It cannot be seen at this moment: ${job.trouble}`));
    if (name === "trouble") return true;
    if (!offered) fill(about, state, bar, tiles, more, made, buttons);
    about.dataset.state = job.state;
    const ended = job.to_source ? job.published : job.resolved + job.failed + job.skipped;
    bar.max = Math.max(1, job.total);
    bar.value = Math.min(job.total, ended);
    fill(state, chip(job.state), ` ${number(ended)} of ${number(job.total)}`, job.reason && `: ${job.reason}`);
    fill(tiles, tile(job.total, "All"), tile(job.published, "Published"), tile(job.resolved, "Resolved"), tile(job.failed, "Failed again"), tile(job.skipped, "Skipped"));
    fill(more, job.state === "waiting" && !job.has_worker && h("p", {class: "note"}, "It waits for a worker: start flotilla work deadletters."),
      job.troubles.length > 0 && h("ul", {}, job.troubles.map(trouble => h("li", {}, `${number(trouble.count)} × ${outcome(trouble.outcome)}`))));
    fill(made, facts([["Which", which(job.filter)], ["How", [`${count(job.rate, "record")} a second`, job.canary > 0 && `, ${number(job.canary)} first`, job.to_source && ", to the source topic"]],
      ["Made", [time(job.made_at), ` by ${job.made_by}`]], ["Ended", job.ended_at && time(job.ended_at)]]));
    // They stay while they mean the same: one that somebody presses must not be another one when they let go.
    const offer = job.over ? "over" : job.stands ? "stands" : "runs";
    if (offer !== offered) {
      offered = offer;
      fill(buttons, job.over ? h("a", {href: "#/dead-letters"}, "Dead letters") : session.role === "operate" && [
        job.stands ? press("Resume", change("resume"), {class: "main"}) : press("Pause", change("pause")),
        press("Cancel", change("cancel"), {class: "danger"})]);
    }
    return !job.over;
  }, words => {
    fill(lost, words && h("p", {class: "note bad"}, words));
    if (words && !offered) about.remove(); else if (!about.isConnected) root.append(about);
  });
}
