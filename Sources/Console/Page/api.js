// What the page asks. The token stays in this tab, and goes out in a header: no cookie is sent by itself.
import {ask, field, h} from "./dom.js";

export class Trouble extends Error {}

const headers = () => {
  const token = sessionStorage.getItem("flotilla-token");
  return token ? {Authorization: `Bearer ${token}`} : {};
};

let asking;
const signIn = () => asking ??= ask("Who are you?", close => {
  const input = h("input", {type: "password", autocomplete: "off", required: true, name: "token", id: "token"});
  return h("form", {onsubmit: event => { event.preventDefault(); close(input.value.trim()); }},
    h("p", {class: "quiet"}, "The console asks for a token: flotilla console token makes one."),
    field("Token", input), h("div", {class: "row"}, h("button", {class: "main"}, "Go on")));
}).then(token => {
  asking = undefined;
  if (!token) throw new Trouble("Nobody is signed in.");
  sessionStorage.setItem("flotilla-token", token);
});

export const signOut = () => { sessionStorage.removeItem("flotilla-token"); location.reload(); };

async function fetched(path, options = {}) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(path, {...options, headers: {...options.headers, ...headers()}, cache: "no-store"});
    } catch (fault) {
      if (fault.name === "AbortError") throw fault;
      throw new Trouble("The console does not answer.");
    }
    if (answer.status === 401) { await signIn(); continue; }
    if (answer.ok) return answer;
    let detail = `${answer.status}`;
    try { detail = (await answer.json()).detail ?? detail; } catch { /* no problem+json */ }
    throw new Trouble(detail);
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

/** Server-sent events until `signal`; comes again when they end, unless `on` says false. */
export async function follow(path, signal, on, lost = () => {}) {
  while (!signal.aborted) {
    try {
      const answer = await fetched(path, {signal});
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
      lost(fault.message);
    }
    await new Promise(done => setTimeout(done, 1000));
  }
}

export const query = values => {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== null && value !== false));
  return search.size ? `?${search}` : "";
};
