// Shows what this browser and a copy of its cookies are served. No script reads a cookie here: they are HttpOnly.
// What happened is kept for this tab, so that the story goes on after signing in again.

const MINUTE = 61_000; // the session's token moves on when it is older than 60 s
const LOOK_EVERY = 5_000;
const KEPT = "thief";
const root = document.querySelector(".thief");
const urls = root.dataset;
const at = (name, within = root) => within.querySelector(`[data-${name}]`);
const button = (name) => root.querySelector(`[data-press=${name}]`);

const VERDICTS = {
  copied: "The copy works. To the site, the thief is you.",
  held: "The copy still works, and both hold the same token.",
  parted: "The copy still works. But the two hold different tokens now, and one of them will give the thief away.",
  found: "Found out. The session was ended for both. Only you can sign in again.",
  locked: "Locked out. The copy has no key, so nothing renews its session. You go on.",
  ended: "The session was ended, and the copy with it.",
  back: "You are back, and the thief is not.",
};
const EVENTS = {
  copied: [
    "The cookies were copied.",
    "The short session is a signed cookie. Whoever holds it is served until it ends, at most 15 minutes later.",
  ],
  held: [
    "The short session ended for both, and both were given a new one.",
    "The long session’s token moved on less than a minute ago, so it stayed as it is.",
  ],
  parted: [
    "The short session ended for both. Each got a new one, and a long-session token of its own.",
    "This could also be an answer that got lost, so nobody is signed out yet. Only one of the two can go on.",
  ],
  found: [
    "The short session ended again. Two tokens of one session were used, so it ended for both.",
    "The site can’t tell who is the thief. You can: you sign in again, and are told what happened, and where.",
  ],
  locked: [
    "The short session ended. Your browser proved its key; the copy was refused.",
    "The key never leaves your browser, so it was not among what was copied. You noticed nothing.",
  ],
  refused: ["The short session ended again. You were given a new one; the copy was refused again.", "It stays so, for as long as you are signed in."],
  ended: ["The session was ended.", "That ends every copy of it, too, within a second."],
  back: [
    "You signed in again. The copy is still refused.",
    "It belongs to the session that was ended. The notice above, and an email, say what happened.",
  ],
};
const REASONS = {
  reuse: "Signed out: a copy of this session was used.",
  unproven: "The key of this session is missing.",
  device_proof_pending: "Still signed in, but the browser proves its key only so often. Wait a few minutes.",
  unread: "No answer just now. The next one may be different.",
};

let state = JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
if (state.user !== urls.user) state = {}; // the story of somebody else who sat here
let last = Promise.resolve();
let running = 0;
let problem = "";
let movesAt = Math.max(state.movesAt ?? 0, Date.now() + 1000 * Number(urls.wait));

// ---- asking

async function send(url, body = {}) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw Object.assign(new Error(url), { status: answer.status });
  return answer.status === 204 ? null : answer.json();
}

/** What this browser is served: the page that the copy asks for too, and who it is. */
async function ask() {
  const answer = await fetch(urls.page);
  if (!answer.ok) {
    const { reason, code } = await answer.json().catch(() => ({}));
    return { status: answer.status, reason: answer.status === 401 ? reason : code };
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html").title.split(" · ")[0];
  const who = await (await fetch(urls.session)).json();
  return { status: answer.status, page, email: who.claims?.email, until: who.expires_at };
}

async function look() {
  const you = await ask();
  const seen = await send(urls.look, { handle: state.handle });
  const found = seen.thief.reason === "reuse" && you.status === 200; // a moment ago: ask again
  return { you: { ...(found ? await ask() : you), ...seen.you }, thief: seen.thief };
}

// ---- telling

function isServed(client) {
  return client?.status === 200;
}

/** What has changed since the last look; nothing, mostly. `ended` says that the short session was ended in between. */
function whatHappened(before, now, ended) {
  if (!isServed(before.you)) return isServed(now.you) ? "back" : null;
  if (!isServed(now.you)) return now.you.status !== 401 ? null : now.you.reason === "reuse" ? "found" : "ended";
  if (now.thief.status === 401) return isServed(before.thief) ? "locked" : ended ? "refused" : null;
  if (!ended || !isServed(now.thief)) return null;
  return now.you.token === now.thief.token ? "held" : "parted";
}

function tell(kind) {
  state.verdict = kind === "refused" ? "locked" : kind;
  state.events.push({ kind, at: Date.now(), you: isServed(state.you), thief: isServed(state.thief) });
}

async function update(ended = false) {
  const before = state;
  const now = await look();
  state = { ...before, ...now };
  const kind = whatHappened(before, now, ended);
  if (ended && kind !== "refused" && kind !== "locked") movesAt = state.movesAt = Date.now() + MINUTE;
  if (kind) tell(kind);
}

// ---- showing

function showPane(name, client) {
  const pane = root.querySelector(`[data-pane=${name}]`);
  pane.dataset.state = client ? (isServed(client) ? "served" : "refused") : "none";
  const isThief = name === "copy";
  const write = (part, text) => (at(part, pane).textContent = text ?? "–");
  const [shown, who] = client ? screen(client) : ["No cookies", "Nothing to come in with."];
  write("status", client?.status);
  write("page", shown);
  write("who", who);
  write("short", client && (client.until ? `until ${clockTime(client.until)}` : "ended"));
  write("long", client && (client.reason === "reuse" ? "ended" : client.token ? `token no. ${client.token}` : "in this browser"));
  const bound = state.bound ?? "bound" in urls;
  write("key", client && (!bound ? "none" : isThief ? "none: it can’t be copied" : "in this browser"));
}

function screen(client) {
  if (isServed(client)) return [client.page, `Signed in as ${client.email}`];
  if (client.status === 401) return ["Sign in", REASONS[client.reason] ?? "Signed out."];
  return ["Not available", REASONS[client.reason] ?? REASONS.unread];
}

function clockTime(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function lane(name, isGood) {
  const mark = document.createElement("span");
  mark.className = `lane ${name}`;
  mark.dataset.state = isGood ? "served" : "refused";
  const text = document.createElement("span");
  text.className = "sr";
  text.textContent = `${name === "you" ? "You are" : "The thief is"} ${isGood ? "served." : "refused."}`;
  mark.append(text);
  return mark;
}

function showEvent(event) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const seconds = Math.round((event.at - state.events[0].at) / 1000);
  time.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const text = document.createElement("p");
  const what = document.createElement("strong");
  const [happened, means] = EVENTS[event.kind];
  what.textContent = happened;
  text.append(what, ` ${means}`);
  item.append(time, lane("you", event.you), lane("thief", event.thief), text);
  return item;
}

function isOver() {
  return ["found", "ended", "back"].includes(state.verdict);
}

function showButtons() {
  const [copied, signedIn] = [Boolean(state.handle), !state.you || isServed(state.you)];
  button("copy").hidden = copied;
  button("end").hidden = !copied || isOver();
  button("again").hidden = !copied || !signedIn;
  button("sign-in").hidden = signedIn;
}

function show() {
  showPane("you", state.you);
  showPane("copy", state.thief);
  const verdict = VERDICTS[state.verdict] ?? "Nothing has been copied yet.";
  const status = root.querySelector(".verdict");
  if (status.textContent !== verdict) status.textContent = verdict; // once, for who has it read aloud
  root.dataset.verdict = state.verdict ?? "none";
  root.querySelector(".story").hidden = !state.events?.length;
  root.querySelector(".story ol").replaceChildren(...(state.events ?? []).map(showEvent));
  const pressed = document.activeElement.dataset.press;
  showButtons();
  count();
  if (pressed && button(pressed).hidden) root.querySelector("[data-press]:not([hidden], :disabled)").focus();
  if (state.handle) sessionStorage.setItem(KEPT, JSON.stringify(state));
  else sessionStorage.removeItem(KEPT);
}

/** Rotation has a minute of its own, which this page waits for as everybody does. */
function count() {
  const left = state.bound ? 0 : Math.max(0, Math.ceil((movesAt - Date.now()) / 1000));
  button("end").disabled = left > 0;
  if (!state.handle) return;
  at("hint").textContent = problem
    ? problem
    : isOver()
    ? "What this page knows of the copy is forgotten 20 minutes after it was made."
    : left
    ? `${left} s to go. A session’s token moves on once a minute at most, so that lost answers sign nobody out. This is that minute, in real time.`
    : "The short session would end by itself, within 15 minutes. The button takes its cookie away from both, now.";
}

// ---- doing

/** One thing after the other: a press waits until a look that is under way is over. */
function run(work) {
  running += 1;
  last = last.then(() => attempt(work));
}

async function attempt(work) {
  try {
    problem = "";
    await work();
  } catch (error) {
    if (error.status === 404) state = { you: await ask() }; // the copy has been forgotten
    else if (error.status === 401) location.reload();
    problem = error.status === 429 ? "Too often. Wait a moment, then try again." : "";
  }
  running -= 1;
  show();
}

async function copy() {
  const { handle, bound, ...seen } = await send(urls.copy);
  const you = { ...(await ask()), ...seen.you };
  state = { user: urls.user, handle, bound, you, thief: seen.thief, events: [] };
  tell("copied");
}

async function end() {
  await send(urls.end, { handle: state.handle });
  await update(true);
}

button("copy").addEventListener("click", () => run(copy));
button("again").addEventListener("click", () => run(copy));
button("end").addEventListener("click", () => run(end));
setInterval(count, 1000);
setInterval(() => state.handle && !isOver() && !document.hidden && !running && run(update), LOOK_EVERY);
run(async () => {
  if (state.handle) await update();
  else state = { you: await ask() };
});
