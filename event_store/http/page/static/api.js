// The store's API. The token is kept in this tab (sessionStorage) and sent in a header, never in an address.

const TOKEN = "standpipe.token";

/** What the store answered instead; `column` counts from 1. */
export class ApiError extends Error {
  constructor(status, { code = "internal", message, column, suggestion } = {}) {
    super(message || `the store answered ${status}`);
    Object.assign(this, { status, code, column, suggestion });
  }
}

let asking = null;
let askForToken = async () => null;

/** Set what is called when a token is needed: it is given the reason, and resolves to a token, or null. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** Say whether there is a token. */
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

/** Forget the token. */
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

/** Ask for something, and return its JSON. */
export async function get(what, parameters, signal) {
  return (await request(`api/${what}?${new URLSearchParams(parameters)}`, { signal })).json();
}

/** Run a query; `onProgress` is given how much is done, from 0 to 1. */
export async function runQuery(parameters, signal, onProgress) {
  const body = new URLSearchParams({ ...parameters, progress: "true" });
  const response = await request("api/query", { method: "POST", body, signal });
  for await (const line of lines(response)) {
    if (!line) continue;
    const said = JSON.parse(line);
    if (said.result) return said.result;
    if (said.error) throw new ApiError(response.status, said.error);
    if (said.progress) onProgress(said.progress.done);
  }
  throw new ApiError(response.status, { message: "the answer broke off" });
}

/**
 * Follow new events, from the place `from.id` on if there is one: it moves on. Yields {name, data} for each that is
 * sent, and once `restarted` where the store goes on before that place: then it is another one, or an older copy. Ends
 * when the store ends it.
 */
export async function* follow(parameters, from, signal, onOpen) {
  const headers = from.id ? { "Last-Event-ID": from.id } : {};
  const response = await request(`api/tail?${new URLSearchParams(parameters)}`, { signal, headers });
  onOpen();
  let [name, data, id] = ["message", [], from.id];
  for await (const line of lines(response)) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5));
    else if (line.startsWith("id:")) id = line.slice(3).trim();
    else if (line === "") {
      if (Number(id) < Number(from.id)) yield { name: "restarted" };
      if (data.length) yield { name, data: JSON.parse(data.join("\n")) };
      from.id = id;
      [name, data] = ["message", []];
    }
  }
}

async function request(address, options) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const shown = token === null ? {} : { Authorization: `Bearer ${token}` };
    const headers = { ...options.headers, ...shown };
    const response = await fetch(address, { ...options, headers, cache: "no-store" });
    if (response.ok) return response;
    const error = await errorOf(response);
    if (response.status !== 401 || !(await renewToken(token))) throw error;
  }
}

async function errorOf(response) {
  const said = await response.json().catch(() => ({}));
  return new ApiError(response.status, said.error);
}

/** Ask for another token than this one, once for all requests that miss it; say whether there is one now. */
async function renewToken(refused) {
  if (sessionStorage.getItem(TOKEN) === refused) {
    const why = refused === null ? "" : "The store does not take this token.";
    asking ??= askForToken(why).finally(() => (asking = null));
    const token = await asking;
    if (token) sessionStorage.setItem(TOKEN, token);
  }
  return sessionStorage.getItem(TOKEN) !== refused;
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let [held, ended] = ["", false];
  try {
    while (!ended) {
      const { value, done } = await reader.read();
      ended = done;
      held += value ?? "";
      if (!value?.includes("\n")) continue; // a long line comes in many pieces: look at each once
      const split = held.split("\n");
      held = split.pop();
      for (const line of split) yield line.replace(/\r$/, "");
    }
    if (held) yield held;
  } finally {
    reader.cancel().catch(() => {});
  }
}
