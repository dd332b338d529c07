// Passkeys: sign up, sign in, confirm, add. Each page is complete without this script: the password remains.
// The server makes the options and verifies the answers; this script carries them between it and the browser.

const RENEW_AFTER = 8 * 60 * 1000; // a challenge is good for ten minutes, a sign-in page may be open for hours
const isKnown = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
let pending = null; // browsers take one request at a time
let renewal = 0;

/** What the server refused, with its sentence. */
class Refused extends Error {
  constructor({ detail, code }) {
    super(detail ?? "The site could not do this. Reload the page and try again.");
    this.code = code;
    this.hadAnswer = false; // whether it came after somebody had used a passkey
  }
}

async function post(url, data) {
  const headers = { Accept: "application/json", "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(data) });
  } catch {
    throw new Refused({ detail: "The site is not responding. Try again in a moment." });
  }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(json);
  return json;
}

/** Ask the server, then the browser, then the server again. Resolves to where to go. */
async function perform(area, mediation) {
  const { kind, fields } = { kind: area.dataset.passkey, fields: fieldsOf(area) };
  pending?.abort();
  clearTimeout(renewal);
  const { signal } = (pending = new AbortController());
  const options = await post(area.dataset.begin, { ...fields, conditional: mediation === "conditional" });
  const publicKey =
    kind === "create"
      ? PublicKeyCredential.parseCreationOptionsFromJSON(options)
      : PublicKeyCredential.parseRequestOptionsFromJSON(options);
  if (mediation === "conditional") delete publicKey.timeout; // it waits for as long as the page is open
  signal.throwIfAborted();
  const credential = await navigator.credentials[kind]({ publicKey, signal, ...(mediation && { mediation }) });
  try {
    return await post(area.dataset.finish, { ...fields, credential: credential.toJSON() });
  } catch (error) {
    // made or kept in vain: have the browser offer it no more
    const isUnknown = error.code === "passkey_unknown" || (kind === "create" && error instanceof Refused);
    const rpId = options.rpId ?? options.rp?.id;
    if (isUnknown) await tell("signalUnknownCredential", { rpId, credentialId: credential.id });
    error.hadAnswer = true;
    throw error;
  }
}

/** What the form around the button says, without the password. */
function fieldsOf(area) {
  const form = area.closest("form");
  return form ? { email: form.elements.email?.value, remember: form.elements.remember?.checked } : {};
}

async function press(area) {
  const email = area.dataset.passkey === "create" && area.closest("form")?.elements.email;
  if (email && !email.reportValidity()) return;
  const button = area.querySelector("button");
  show(area, "");
  button.disabled = true;
  try {
    go((await perform(area)).location);
  } catch (error) {
    if (error.code === "insufficient_user_authentication" && area.dataset.confirm) {
      return go(area.dataset.confirm);
    }
    show(area, sentence(area, error));
    if (area.hasAttribute("data-autofill")) offerInField(area);
  } finally {
    button.disabled = false;
  }
}

/** Go to a page, also if it is this one: browsers only scroll then, if the address has a fragment. */
function go(address) {
  const to = new URL(address, location);
  const isHere = to.pathname + to.search === location.pathname + location.search;
  location.assign(to);
  if (isHere && to.hash) location.reload();
}

function show(area, text) {
  area.querySelector("p")?.remove();
  if (!text) return;
  const message = document.createElement("p");
  message.className = "message wrong";
  message.role = "alert";
  message.textContent = text;
  area.append(message);
}

/** What happened, and what the person can do now. */
function sentence(area, error) {
  const { fallback, origins, passkey } = area.dataset;
  if (error instanceof Refused) return error.message;
  switch (error.name) {
    case "NotAllowedError":
      return passkey === "create"
        ? `No passkey was created: it was cancelled, or took too long. ${fallback}`
        : `No passkey was used: it was cancelled, took too long, or there is none for this site here. ${fallback}`;
    case "InvalidStateError":
      return "This device holds a passkey of this account already.";
    case "SecurityError":
      return elsewhere(origins);
    case "ConstraintError":
      return `This device can’t check that it is you. Set up its screen lock or PIN first. ${fallback}`;
    default:
      return `Your browser could not do this with a passkey. ${fallback}`;
  }
}

function elsewhere(origins) {
  return `Passkeys work only at the site’s own address: ${origins.replaceAll(" ", " or ")}.`;
}

/** Show the button; on another host of the same server, which browsers refuse, say where passkeys work. */
function start(area) {
  const { origins, autofill, quietly } = area.dataset;
  const isHome = origins.split(" ").includes(location.origin);
  area.hidden = false;
  if (!isHome) {
    const note = document.createElement("small");
    note.textContent = elsewhere(origins);
    return area.replaceChildren(note);
  }
  area.closest(".offer")?.removeAttribute("hidden");
  area.querySelector("button").addEventListener("click", () => press(area));
  if (autofill !== undefined) offerInField(area);
  if (quietly) makeQuietly(area);
}

/** Offer passkeys in the email field, among the names the browser fills in. Nobody is asked until they choose one. */
async function offerInField(area) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  const performed = perform(area, "conditional");
  renewal = setTimeout(() => offerInField(area), RENEW_AFTER);
  try {
    go((await performed).location);
  } catch (error) {
    if (error.name === "AbortError") return; // for the button, or for a new challenge
    clearTimeout(renewal);
    if (!error.hadAnswer) return;
    show(area, error.message);
    offerInField(area);
  }
}

/** Have the browser make a passkey without asking, where it does that for people who have just used a password. */
async function makeQuietly(area) {
  const from = document.referrer && new URL(document.referrer).pathname;
  if (!area.dataset.quietly.split(" ").includes(from)) return;
  const can = await PublicKeyCredential.getClientCapabilities?.().catch(() => ({}));
  if (!can?.conditionalCreate) return;
  try {
    await perform(area, "conditional");
  } catch {
    return; // the button remains
  }
  area.hidden = true;
  area.previousElementSibling.textContent = "Your browser has made a passkey for you. You find it on your account page.";
}

/** Tell the browser something about the passkeys it keeps, if it listens (Signal API). */
async function tell(signal, facts) {
  await PublicKeyCredential[signal]?.(facts).catch(() => {});
}

/** Have the browser forget passkeys that were removed, here or elsewhere, and rename those that remain. */
async function tellAccepted({ rp: rpId, user: userId, accepted, email: name }) {
  const allAcceptedCredentialIds = accepted.split(" ").filter(Boolean);
  await tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
  await tell("signalCurrentUserDetails", { rpId, userId, name, displayName: name });
}

if (isKnown) document.querySelectorAll("[data-passkey]").forEach(start);
const list = document.querySelector("[data-accepted]");
if (isKnown && list) tellAccepted(list.dataset);
addEventListener("pageshow", (event) => event.persisted && location.reload());
