// Finds the page that the address names, and shows it.
import {get, signOut} from "./api.js";
import {fill, h} from "./dom.js";
import fleet from "./fleet.js";
import letters, {replays} from "./letters.js";
import metrics from "./query.js";
import topics from "./topics.js";

const pages = {fleet, "dead-letters": letters, replays, topics, query: metrics};
const main = document.getElementById("main");
let showing, session, shownName;

function place() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  let subject = rest.join("/");
  try { subject = decodeURIComponent(subject); } catch { /* shown as it is */ }
  return {name: name in pages ? name : "fleet", rest: subject, values: Object.fromEntries(new URLSearchParams(search))};
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
  document.title = `${where.rest || where.name.replace("-", " ")} · Flotilla`;
  const address = `${where.name}/${where.rest}`;
  // Whoever uses the keyboard is taken to what they asked for.
  if (event && address !== shownName) main.focus();
  shownName = address;
  try {
    session ??= await who();
    await pages[where.name](main, where, mine.signal, session);
  } catch (fault) {
    if (!mine.signal.aborted) fill(main, h("h1", {}, "That did not work"), h("p", {class: "note bad"}, fault.message), h("button", {onclick: () => show()}, "Once more"));
  }
}

async function who() {
  const found = await get("/api/session");
  fill(document.getElementById("who"), h("span", {}, `${found.name}, ${found.role}`),
    sessionStorage.getItem("flotilla-token") && h("button", {class: "small", onclick: signOut}, "Sign out"));
  return found;
}

document.getElementById("skip").addEventListener("click", event => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
show();
