// Finds the page that the address names, and shows it.
import {get, signOut} from "./api.js";
import {fill, h} from "./dom.js";
import fleet from "./fleet.js";
import letters from "./letters.js";
import metrics from "./query.js";
import replays from "./replays.js";
import topics from "./topics.js";

const pages = {fleet, "dead-letters": letters, replays, topics, query: metrics};
const titles = {fleet: "Fleet", "dead-letters": "Dead letters", replays: "Replays and audit", topics: "Topics", query: "Query"};
const main = document.getElementById("main");
let showing, session, shown;

function place() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  let subject = rest.join("/");
  try { subject = decodeURIComponent(subject); } catch { /* shown as it is */ }
  return {name: Object.hasOwn(pages, name) ? name : "fleet", rest: subject, values: Object.fromEntries(new URLSearchParams(search))};
}

async function show(event) {
  showing?.abort();
  const mine = showing = new AbortController();
  const where = place();
  for (const link of document.querySelectorAll("nav a")) {
    const name = link.getAttribute("href").slice(2);
    if (name === where.name || name === "dead-letters" && where.name === "replays") link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const address = `${where.name}/${where.rest}`;
  if (address !== shown) for (const line of document.querySelectorAll("#said .bad")) line.remove();
  // Whoever uses the keyboard is taken to what they asked for.
  if (event && address !== shown) { main.focus({preventScroll: true}); scrollTo(0, 0); }
  shown = address;
  main.ariaBusy = "true";
  try {
    session ??= await who();
    await pages[where.name](main, where, mine.signal, session);
  } catch (fault) {
    if (!mine.signal.aborted) fill(main, h("h1", {}, "That did not work"), h("p", {class: "note bad"}, fault.message), h("button", {class: "main", onclick: () => show()}, "Once more"));
  }
  if (mine.signal.aborted) return;
  main.ariaBusy = "false";
  document.title = `${where.rest ? `${where.rest} · ` : ""}${titles[where.name]} · Flotilla`;
}

async function who() {
  const found = await get("/api/session");
  fill(document.getElementById("who"), h("span", {}, `${found.name} · ${found.role}`),
    sessionStorage.getItem("flotilla-token") && h("button", {class: "small", onclick: signOut}, "Sign out"));
  fill(document.getElementById("foot"), `Flotilla ${found.version} · all times are UTC`);
  return found;
}

document.getElementById("skip").addEventListener("click", event => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
show();
