// What the page asks. The token stays in this tab, and goes out in a header: no cookie is sent by itself.
import {ask, field, h, quiet} from "./dom.js";

export class Trouble extends Error {
  /** `status`: 0 when nobody answered. */
  constructor(message, status = 0) { super(message); this.status = status; }
}

const headers = () => {
  const token = sessionStorage.getItem("flotilla-token");
  return token ? {Authorization: `Bearer ${token}`} : {};
};

let asking;
const signIn = refused => asking ??= ask("Who are you?", close => {
  const input = h("input", {type: "password", autocomplete: "off", required: true, name: "token", id: "token"});
  return h("form", {onsubmit: event => { event.preventDefault(); close(input.value.trim()); }},
    refused && h("p", {class: "note bad"}, "That token is not known here."),
    quiet("The console asks for a token: flotilla console token makes one."),
    field("Token", input), h("div", {class: "row"}, h("button", {class: "main"}, "Go on")));
}).then(token => {
  asking = undefined;
  if (!token) throw new Trouble("Nobody is signed in.", 401);
  sessionStorage.setItem("flotilla-token", token);
});

export const signOut = () => { sessionStorage.removeItem("flotilla-token"); location.reload(); };

async function fetched(path, options = {}) {
  for (;;) {
    let answer;
    const told = headers();
    try {
      answer = await fetch(path, {...options, headers: {...options.headers, ...told}, cache: "no-store"});
    } catch (fault) {
      if (fault.name === "AbortError") throw fault;
      throw new Trouble("The console does not answer.");
    }
    // Of several that were refused one asks, and the others come again with what it was told.
    if (answer.status === 401) { await signIn(told.Authorization !== undefined); continue; }
    if (answer.ok) return answer;
    let detail = `The console answers with ${answer.status}.`;
    try { detail = (await answer.json()).detail ?? detail; } catch { /* no problem+json */ }
    throw new Trouble(detail, answer.status);
  }
}

export const get = async (path, signal) => (await fetched(path, {signal})).json();

export const lines = async (path, signal) => {
  const answer = await fetched(path, {signal});
  const found = (await answer.text()).split("\n").filter(Boolean).map(line => JSON.parse(line));
  return {found, age: Number(answer.headers.get("age") ?? 0)};
};

export const post = async (path, body = {}) => (await fetched(path, {
  method: "POST", body: JSON.stringify(body),
  headers: {"Content-Type": "application/json", "X-Flotilla-Console": "1"}})).json();

/**
 * Server-sent events until `signal`; comes again when they end, unless `on` says false. `lost` is told why nothing comes,
 * and null when something comes again. What will never be there is not asked for again.
 */
export async function follow(path, signal, on, lost) {
  while (!signal.aborted) {
    try {
      const answer = await fetched(path, {signal});
      lost(null);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const {value, done} = await reader.read();
        if (done) break;
        rest += value;
        const events = rest.split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const name = /^event: (.*)$/m.exec(event)?.[1], data = /^data: (.*)$/m.exec(event)?.[1];
          if (name && data && on(name, JSON.parse(data)) === false) { await reader.cancel(); return; }
        }
      }
    } catch (fault) {
      if (signal.aborted) return;
      lost(fault instanceof Trouble ? fault.message : "The console has gone away: coming again.");
      if (fault.status >= 400 && fault.status < 500) return;
    }
    await new Promise(done => setTimeout(done, 1000));
  }
}

export const query = values => {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== null && value !== false));
  return search.size ? `?${search}` : "";
};

/** The address of a page, with what is asked of it. */
export const link = (page, rest = "", values = {}) => `#/${page}${rest === "" ? "" : `/${encodeURIComponent(rest)}`}${query(values)}`;
