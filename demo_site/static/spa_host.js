// A single-page app on another host than the session's. corbado-session.js gets the short token, keeps it in memory,
// renews it, and adds it to the calls of the orders service; here is only what the page shows.

import { createSession, SessionUnavailable } from "/corbado-session.js";
import { timeLeft } from "./countdown.js";

const find = (id) => document.getElementById(id);
const { session: url, orders: service } = find("app").dataset;
const session = createSession({ url, api: [service] });
const SLOW = 4000; // ms after which the page says that the session host keeps it waiting

let calls = 0;
let answered = 0; // the latest of the calls that the orders on the page are from

/** Call the orders service, and show the orders it answers with. */
async function order(method, sent) {
  const call = ++calls;
  const headers = { Accept: "application/json" };
  if (sent) headers["Content-Type"] = "application/json";
  try {
    const answer = await session.fetch(`${service}/orders`, { method, headers, body: sent && JSON.stringify(sent) });
    if (answer.status === 401 && !session.current) return; // which `show` has been told
    const got = await answer.json();
    if (!answer.ok) return tell(got.detail);
    tell("");
    if (call < answered) return; // it was overtaken, so these are orders of before
    answered = call;
    showOrders(got.orders);
  } catch (error) {
    const who = error instanceof SessionUnavailable ? "session host" : "orders service";
    tell(`The ${who} does not answer. Try again in a moment.`);
  }
}

function showOrders(orders) {
  const items = orders.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  find("orders").replaceChildren(...items);
  find("none").hidden = items.length > 0;
}

let shown; // whose orders are on the page

/** Who is signed in now, or nobody; called for each new token too. */
function show(current) {
  find("asking").hidden = true;
  find("member").hidden = find("sign-out").hidden = !current;
  find("stranger").hidden = Boolean(current);
  find("who").textContent = current ? current.claims.email : "nobody";
  count();
  if (current?.user_id === shown) return;
  shown = current?.user_id;
  answered = ++calls; // what is under way is another user's
  showOrders([]);
  tell("");
  if (current) order("GET");
}

function count() {
  find("left").textContent = session.current ? timeLeft(session.remaining / 1000) : "none";
  find("memory").textContent = session.token ? `a token of ${session.token.length} characters` : "nothing";
  find("cookies").textContent = document.cookie ? "some" : "none";
  find("storage").textContent = localStorage.length + sessionStorage.length ? "something" : "nothing";
}

function tell(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

for (const button of document.querySelectorAll("[data-item]")) {
  button.addEventListener("click", () => order("POST", { item: button.dataset.item }));
}
find("sign-out").addEventListener("click", () =>
  session.signOut().catch(({ code }) =>
    tell(
      code === "logout_incomplete"
        ? "You are signed out in this browser only: the session host could not note it down."
        : "The session host does not answer. You are still signed in; try again in a moment.",
    ),
  ),
);
const waiting = setTimeout(() => tell("The session host does not answer yet. It is asked again."), SLOW);
session.onChange(show);
show(await session.start());
clearTimeout(waiting);
setInterval(count, 1000);
