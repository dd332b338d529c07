// A single-page app on another host than the session host. corbado-session.js gets the short token, keeps it in memory,
// refreshes it and adds it to calls of the orders service. This file only shows the page.

import { createSession, SessionUnavailable } from "/corbado-session.js";
import { timeLeft } from "./countdown.js";

const find = (id) => document.getElementById(id);
const { session: url, orders: service } = find("app").dataset;
const session = createSession({ url, api: [service] });
const SLOW = 4000; // ms after which the page says that it is still waiting for the session host

let calls = 0;
let shownCall = 0; // the call that the orders on the page come from

/** Call the orders service, and show the orders in its response. */
async function order(method, data) {
  const call = ++calls;
  const headers = { Accept: "application/json" };
  if (data) headers["Content-Type"] = "application/json";
  try {
    const response = await session.fetch(`${service}/orders`, { method, headers, body: data && JSON.stringify(data) });
    if (response.status === 401 && !session.current) return; // `show` was called for it already
    const json = await response.json();
    if (!response.ok) return showError(json.detail);
    showError("");
    if (call < shownCall) return; // a later call has returned already, so these orders are outdated
    shownCall = call;
    showOrders(json.orders);
  } catch (error) {
    const server = error instanceof SessionUnavailable ? "session host" : "orders service";
    showError(`The ${server} is not responding. Try again in a moment.`);
  }
}

function showOrders(orders) {
  const items = orders.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  find("orders").replaceChildren(...items);
  find("no-orders").hidden = items.length > 0;
}

let shownUser; // the user whose orders are on the page

/** Show who is signed in, or that nobody is. Also called for each new token. */
function show(current) {
  find("loading").hidden = true;
  find("signed-in").hidden = find("sign-out").hidden = !current;
  find("signed-out").hidden = Boolean(current);
  find("user").textContent = current ? current.claims.email : "nobody";
  count();
  if (current?.user_id === shownUser) return;
  shownUser = current?.user_id;
  shownCall = ++calls; // open calls belong to another user
  showOrders([]);
  showError("");
  if (current) order("GET");
}

function count() {
  find("left").textContent = session.current ? timeLeft(session.remaining / 1000) : "none";
  find("memory").textContent = session.token ? `a token of ${session.token.length} characters` : "nothing";
  find("cookies").textContent = document.cookie ? "some" : "none";
  find("storage").textContent = localStorage.length + sessionStorage.length ? "something" : "nothing";
}

function showError(text) {
  find("error").textContent = text;
  find("error").hidden = !text;
}

for (const button of document.querySelectorAll("[data-item]")) {
  button.addEventListener("click", () => order("POST", { item: button.dataset.item }));
}
find("sign-out").addEventListener("click", () =>
  session.signOut().catch(({ code }) =>
    showError(
      code === "logout_incomplete"
        ? "You are signed out in this browser only. The session host could not end the session."
        : "The session host is not responding. You are still signed in. Try again in a moment.",
    ),
  ),
);
const waiting = setTimeout(() => showError("The session host is not responding yet. Trying again…"), SLOW);
session.onChange(show);
show(await session.start());
clearTimeout(waiting);
setInterval(count, 1000);
