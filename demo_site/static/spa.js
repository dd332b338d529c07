// A single-page app on the session's own host. It calls its API with plain fetch and knows nothing of tokens: when the
// short session is over, the server makes a new one in the very call that came without.

import { timeLeft } from "./countdown.js";

const API = "/spa/api/notes";
const SHOWN_CALLS = 6;
const find = (id) => document.getElementById(id);
let until = 0; // when the short session ends, on the clock that nobody can set

/** One call. Gives the answer's JSON, or null after showing what went wrong. */
async function call(method, path, sent) {
  const headers = { Accept: "application/json" };
  if (sent) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: sent && JSON.stringify(sent) });
  } catch {
    return tell("The site does not answer. Nothing was changed; try again in a moment.");
  }
  log(`${method} ${path}`, answer.status);
  if (answer.status === 401) return showNobody();
  const got = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) return tell(got.detail ?? `The site answered ${answer.status}.`);
  tell("");
  return { got, at: Date.parse(answer.headers.get("Date")) };
}

async function showSession() {
  const answer = await call("GET", "/session");
  if (!answer) return null;
  const { claims, expires_at } = answer.got;
  until = performance.now() + Date.parse(expires_at) - answer.at;
  find("who").textContent = claims.email;
  count();
  return answer;
}

async function showNotes() {
  const answer = await call("GET", API);
  if (!answer) return;
  find("notes").replaceChildren(...answer.got.notes.map(item));
  find("add").hidden = false;
  find("stranger").hidden = true;
}

/** The list's item for a note. */
function item(note) {
  const element = find("note").content.cloneNode(true).firstElementChild;
  const [box, button] = [element.querySelector("input"), element.querySelector("button")];
  element.querySelector("span").textContent = note.text;
  box.checked = note.done;
  button.setAttribute("aria-label", `Remove ${note.text}`);
  box.addEventListener("change", () => change("PUT", `${API}/${note.id}`, { text: note.text, done: box.checked }));
  button.addEventListener("click", async () => {
    if (!(await change("DELETE", `${API}/${note.id}`))) return;
    element.remove();
    find("text").focus();
  });
  return element;
}

/** A call that changes something. If it failed, what is so now is asked again. */
async function change(method, path, sent) {
  const answer = await call(method, path, sent);
  if (answer) {
    await showSession();
  } else {
    const problem = find("problem").textContent;
    await showNotes();
    tell(problem);
  }
  return answer;
}

function showNobody() {
  until = 0;
  find("who").textContent = "nobody";
  find("left").textContent = "none";
  find("notes").replaceChildren();
  find("add").hidden = true;
  find("stranger").hidden = false;
  return null;
}

function tell(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
  return null;
}

function log(what, status) {
  const [line, code] = [document.createElement("li"), document.createElement("code")];
  code.textContent = what;
  line.append(code, ` ${status}`);
  find("calls").prepend(line);
  while (find("calls").children.length > SHOWN_CALLS) find("calls").lastChild.remove();
}

function count() {
  if (until) find("left").textContent = timeLeft((until - performance.now()) / 1000);
}

find("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = find("text").value;
  find("text").value = "";
  const answer = await change("POST", API, { text });
  if (answer) find("notes").append(item(answer.got));
  else find("text").value ||= text;
});
if (await showSession()) await showNotes();
setInterval(count, 1000);
