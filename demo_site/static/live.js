// Shows the live feed. The browser reconnects by itself when the connection is lost; when it is refused, the session
// has ended, and the server says why.

const LATEST = 6;
const REASONS = {
  signed_out: "This browser signed out.",
  revoked: "This browser was signed out from another device.",
  operator: "This browser was signed out by an operator.",
  superseded: "You signed in again in this browser.",
};

const article = document.querySelector("[data-feed]");
const state = article.querySelector(".state");
const signIn = article.querySelector("[hidden]");
const total = article.querySelector(".left");
const latest = article.querySelector("ol");
let count = 0;

function say(text, name) {
  state.textContent = text;
  article.dataset.state = name;
}

function show(event) {
  const item = document.createElement("li");
  item.textContent = `Event ${++count} at ${new Date(event.data).toLocaleTimeString()}`;
  latest.prepend(item);
  while (latest.children.length > LATEST) latest.lastElementChild.remove();
  total.textContent = count;
}

async function explain() {
  const answer = await fetch(article.dataset.session).catch(() => null);
  if (answer?.status !== 401) {
    say("The feed is not available just now. Reload the page to try again.", "ended");
    return;
  }
  const { reason } = await answer.json().catch(() => ({}));
  say(`The feed has ended. ${REASONS[reason] ?? "You are not signed in."}`, "ended");
  signIn.hidden = false;
}

const feed = new EventSource(article.dataset.feed);
feed.addEventListener("open", () => say("Connected", "open"));
feed.addEventListener("message", show);
feed.addEventListener("error", () => {
  if (feed.readyState === EventSource.CLOSED) explain();
  else say("Connection lost. Connecting again …", "lost");
});
feed.addEventListener("busy", () => {
  feed.close();
  say("Too many feeds are open just now. Reload the page to try again.", "ended");
});
addEventListener("pagehide", () => feed.close());
addEventListener("pageshow", (event) => event.persisted && location.reload());
