// A single-page app on the session host. It calls its API with plain fetch and knows nothing about tokens: when the
// short session has expired, the server serves the call and sends a new one with the response.

import { timeLeft } from "./countdown.js";

const API = "/spa/api/notes";
const SHOWN_CALLS = 6;
const find = (id) => document.getElementById(id);
let until = 0; // when the short session expires, on the monotonic clock

/** Call the API. Returns the JSON of the response, or null after showing the error. */
async function call(method, path, data) {
  const headers = { Accept: "application/json" };
  if (data) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: data && JSON.stringify(data) });
  } catch {
    return showError("The site is not responding. Nothing was changed. Try again in a moment.");
  }
  log(`${method} ${path}`, response.status);
  if (response.status === 401) return showSignedOut();
  const json = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) return showError(json.detail ?? `The site responded with error ${response.status}.`);
  showError("");
  return { json, at: Date.parse(response.headers.get("Date")) };
}

async function showSession() {
  const answer = await call("GET", "/session");
  if (!answer) return null;
  const { claims, expires_at } = answer.json;
  until = performance.now() + Date.parse(expires_at) - answer.at;
  find("user").textContent = claims.email;
  count();
  return answer;
}

async function showNotes() {
  const answer = await call("GET", API);
  if (!answer) return;
  find("notes").replaceChildren(...answer.json.notes.map(item));
  find("add").hidden = false;
  find("signed-out").hidden = true;
}

/** The list item of a note. */
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

/** Make a call that changes something. If it fails, load the notes again and show the error. */
async function change(method, path, data) {
  const answer = await call(method, path, data);
  if (answer) {
    await showSession();
  } else {
    const error = find("error").textContent;
    await showNotes();
    showError(error);
  }
  return answer;
}

function showSignedOut() {
  until = 0;
  find("user").textContent = "nobody";
  find("left").textContent = "none";
  find("notes").replaceChildren();
  find("add").hidden = true;
  find("signed-out").hidden = false;
  return null;
}

function showError(text) {
  find("error").textContent = text;
  find("error").hidden = !text;
  return null;
}

function log(call, status) {
  const [line, code] = [document.createElement("li"), document.createElement("code")];
  code.textContent = call;
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
  if (answer) find("notes").append(item(answer.json));
  else find("text").value ||= text;
});
if (await showSession()) await showNotes();
setInterval(count, 1000);
