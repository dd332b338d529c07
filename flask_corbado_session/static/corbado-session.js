/**
 * Keeps the session of flask-corbado-session alive in a page with script, and tells the page who is signed in.
 *
 *     import { createSession } from "/session/static/corbado-session.js";
 *     const session = createSession();       // { url: "https://auth.example.com/session" } on another host
 *     session.onChange((current) => show(current ? current.user_id : "signed out"));
 *     await session.start();
 *     const answer = await session.fetch("/api/orders");
 *
 * A visible page refreshes the short session less than a minute before it expires. A hidden page lets it expire, so
 * that a forgotten tab does not defeat the idle timeout. One tab makes the requests (Web Locks) and shares the results
 * with the other tabs (BroadcastChannel). In a browser without these APIs, each tab makes its own requests.
 *
 * The module reads no cookie and stores nothing. On another host, the short token is kept in memory only: in this tab
 * and, through the channel, in the other tabs of this origin.
 *
 * @typedef {{ user_id: string, claims: Record<string, any>, expires_at: string }} Current
 *     Who is signed in, and when the short session expires (ISO 8601).
 * @typedef {{ url?: string, api?: string[] }} Options
 *     `url`: the base URL of the session routes, "/session" by default. `api`: the origins, besides the session host,
 *     that get the short token as a bearer token.
 * @typedef {{ current?: Current | null, token: string | null, left: number, at: number, renewed: boolean }} News
 *     A result from the session host. `left`: how many milliseconds the short session has left. `at`: when the request
 *     was made. `renewed`: whether the request was a refresh.
 */

const SECOND = 1000;
const MARGIN = 55 * SECOND; // the longest time before its expiry at which a short session is refreshed
const LOOK_EVERY = 30 * SECOND; // the longest timer: timers stop while the machine sleeps
const STALE = 60 * SECOND; // older results are requested again when the user returns to the page
const AT_MOST_EVERY = 10 * SECOND; // the shortest time between two refreshes, in case of wrong clocks
const TIMEOUT = 10 * SECOND; // of one request; the other tabs wait for it
const LONGEST_BACKOFF = 60 * SECOND;
const HANDOVER = 250; // ms at most that a tab holds the lock for the waiting tabs to get its refresh first
const HANDOVER_OF_LOOK = 50; // the same for a look, which does not serve a tab that waits to refresh

/** The session host did not respond, or not with a session. This signs nobody out; the request is repeated. */
export class SessionUnavailable extends Error {
  /**
   * @param {string} code "network", "unreadable", or the `code` of the response
   * @param {number} [retryAfter] in seconds
   * @param {unknown} [cause]
   */
  constructor(code, retryAfter = 0, cause) {
    super(`The session host did not return a session: ${code}.`, { cause });
    this.name = "SessionUnavailable";
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export class SessionKeeper {
  #url;
  #api;
  #isOtherHost;
  #name;
  #events = new EventTarget();
  /** @type {AbortController | null} */ #running = null;
  /** @type {BroadcastChannel | null} */ #channel = null;
  /** @type {Promise<Current | null> | null} */ #looking = null;
  /** @type {Promise<Current | null> | null} */ #renewing = null;
  /** @type {News} */ #news = { token: null, left: 0, at: -Infinity, renewed: false }; // no `current`: not known yet
  #heardAt = -Infinity; // on the monotonic clock
  #heard = { any: 0, renewed: 0, ended: 0 }; // counts of results, refreshes and sign-outs
  #margin = 0;
  #failures = 0;
  #retryAfter = 0;
  #timer = 0;

  /** @param {Options} options */
  constructor({ url = "/session", api = [] } = {}) {
    const base = new URL(url, document.baseURI);
    this.#url = base.href.replace(/\/$/, "");
    this.#api = new Set([base.href, ...api].map(originOf));
    this.#isOtherHost = base.origin !== location.origin;
    this.#name = `corbado-session ${this.#url}`;
  }

  /** Who is signed in; null if nobody is, or if it is not known yet. */
  get current() {
    return this.#news.current ?? null;
  }

  /** The short token on another host, while it is valid; null on the same host, which uses the cookie. */
  get token() {
    return this.remaining > 0 ? this.#news.token : null;
  }

  /** Milliseconds until the short session expires, independent of this machine's clock. */
  get remaining() {
    return this.current ? this.#news.left - this.#age() : 0;
  }

  /** Start. Resolves to `current` as soon as it is known, however long that takes; never rejects. */
  async start() {
    if (!this.#running) {
      this.#running = new AbortController();
      const { signal } = this.#running;
      if ("BroadcastChannel" in globalThis) {
        this.#channel = new BroadcastChannel(this.#name);
        this.#channel.onmessage = ({ data }) => this.#learn(data);
      }
      const check = () => this.#check(STALE);
      document.addEventListener("visibilitychange", check, { signal });
      for (const type of ["focus", "online"]) addEventListener(type, check, { signal });
      // a page restored from the back-forward cache has missed the results of other tabs
      addEventListener("pageshow", ({ persisted }) => persisted && this.#check(0), { signal });
      this.#check(0);
    }
    if (this.#news.current === undefined) {
      await new Promise((resolve) => this.#events.addEventListener("change", resolve, { once: true }));
    }
    return this.current;
  }

  /** Stop. The session itself continues without this page. */
  stop() {
    this.#running?.abort();
    this.#channel?.close();
    clearTimeout(this.#timer);
    this.#running = this.#channel = null;
  }

  /**
   * Call the listener when the session is refreshed, when another user signs in, and, with null, on sign-out.
   * @param {(current: Current | null) => void} listener
   * @returns {() => void} removes the listener
   */
  onChange(listener) {
    const call = () => listener(this.current);
    this.#events.addEventListener("change", call);
    return () => this.#events.removeEventListener("change", call);
  }

  /** Refresh the short session now, for example after a sign-in by script. Rejects with SessionUnavailable. */
  refresh() {
    return (this.#renewing ??= this.#inTurn(true).finally(() => (this.#renewing = null)));
  }

  /**
   * Sign out in all tabs. Rejects with SessionUnavailable. The page is then still signed in, unless the code is
   * `logout_incomplete`: this browser is signed out, but the session could not be ended on the session host.
   */
  async signOut() {
    const end = () => this.#announce({ current: null, token: null, left: 0, at: Date.now(), renewed: false });
    await this.#call("POST", "/logout").catch((error) => {
      if (error.code === "logout_incomplete") end();
      throw error;
    });
    end();
  }

  /**
   * `fetch` with the session. A request to an origin of `api` carries the bearer token (on another host). After a 401
   * the session is refreshed and the request repeated once. Rejects as fetch does, and with SessionUnavailable if a
   * refresh fails, because a 401 would then look like a sign-out.
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   */
  async fetch(input, init) {
    const request = new Request(input, init);
    if (!this.#api.has(new URL(request.url).origin) || request.headers.has("Authorization")) return fetch(request);
    if (this.#isOtherHost && this.#news.current !== null && !this.token) await this.refresh();
    const before = this.#heard.renewed;
    const response = await this.#send(request.clone());
    if (response.status !== 401 || this.#news.current === null) return response;
    // a step-up (RFC 9470) needs the user, so a refresh would not help
    if (response.headers.get("WWW-Authenticate")?.includes("insufficient_user_authentication")) return response;
    if (this.#heard.renewed === before) await this.refresh();
    return this.current ? this.#send(request) : response;
  }

  /** @param {Request} request */
  #send(request) {
    const token = this.token;
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request);
  }

  /** Called by timers and events: request the session if a refresh is due or the last result is older than `stale`. */
  #check(stale = Infinity) {
    if (document.hidden && this.#news.current !== undefined) return;
    const isDue = this.current && this.remaining <= this.#margin && this.#age() >= AT_MOST_EVERY;
    if (!isDue && !this.#failures && this.#age() < stale) return this.#schedule();
    const request = isDue || this.#isOtherHost ? this.refresh() : this.#look();
    request.catch(({ message }) => this.#failures > 1 || console.warn(`corbado-session: ${message} Trying again.`));
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (!this.#running || (!this.current && !this.#failures)) return;
    const backoff = Math.min(Math.max(this.#retryAfter, 2 ** this.#failures) * SECOND, LONGEST_BACKOFF);
    const untilDue = Math.min(Math.max(this.remaining - this.#margin, SECOND), LOOK_EVERY);
    const wait = this.#failures ? backoff * (1 + Math.random() / 4) : untilDue;
    this.#timer = setTimeout(() => this.#check(), wait);
  }

  /** Request who is signed in, without a refresh as long as the short session is valid. */
  #look() {
    return this.#renewing ?? (this.#looking ??= this.#inTurn(false).finally(() => (this.#looking = null)));
  }

  /** Make the request in turn with the other tabs; skip it if a result arrived meanwhile. @param {boolean} renew */
  async #inTurn(renew) {
    const count = () => (renew ? this.#heard.renewed : this.#heard.any) + this.#heard.ended;
    const before = count();
    const waiting = new AbortController();
    const { signal } = waiting;
    this.#events.addEventListener("result", () => count() === before || waiting.abort(), { signal });
    try {
      return await this.#alone(async () => (count() === before ? this.#ask(renew) : this.current), renew, signal);
    } catch (/** @type {any} */ error) {
      this.#failures += 1;
      this.#retryAfter = error.retryAfter ?? 0;
      throw error;
    } finally {
      waiting.abort();
      this.#schedule();
    }
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @param {boolean} renew
   * @param {AbortSignal} signal ends the wait
   * @returns {Promise<T>}
   */
  #alone(work, renew, signal) {
    if (!navigator.locks) return work();
    return new Promise((resolve, reject) => {
      const turn = () => work().then((result) => (resolve(result), this.#handOver(renew)), reject);
      // a sandboxed frame gets no lock, and who has heard the result meanwhile needs none
      navigator.locks.request(this.#name, { signal }, turn).catch(() => work().then(resolve, reject));
    });
  }

  /** Hold the lock until the other tabs that wait for it have heard the result. @param {boolean} renew */
  async #handOver(renew) {
    const until = performance.now() + (renew ? HANDOVER : HANDOVER_OF_LOOK);
    const isAwaited = async () => {
      const { held = [], pending = [] } = await navigator.locks.query();
      const own = held.find(({ name }) => name === this.#name)?.clientId;
      return pending.some(({ name, clientId }) => name === this.#name && clientId !== own);
    };
    while (performance.now() < until && (await isAwaited())) await new Promise((done) => setTimeout(done, 10));
  }

  /** @param {boolean} renew */
  async #ask(renew) {
    const { ended } = this.#heard;
    const at = Date.now();
    const { status, date, body } = await this.#call(renew ? "POST" : "GET", renew ? "/refresh" : "");
    if (ended !== this.#heard.ended) return this.current; // there was a sign-out meanwhile, so this result is outdated
    if (status === 401) return this.#announce({ current: null, token: null, left: 0, at, renewed: renew });
    const { claims, expires_at, token = null } = body ?? {};
    const left = Date.parse(expires_at) - (date || at);
    if (!claims || Number.isNaN(left)) throw new SessionUnavailable("unreadable");
    const current = { user_id: claims.sub, claims, expires_at };
    return this.#announce({ current, token, left, at, renewed: renew });
  }

  /**
   * @param {string} method
   * @param {string} path
   */
  async #call(method, path) {
    let response, body;
    /** @type {RequestInit} */
    const init = {
      method,
      credentials: "include",
      cache: "no-store",
      redirect: "manual", // a captive portal's page says nothing about our session
      keepalive: path === "/logout", // the page may be left right after
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout?.(TIMEOUT),
    };
    try {
      const first = await fetch(this.#url + path, init);
      // device binding: before a new request, the browser proves its key
      response = isRedirect(first) ? await fetch(this.#url + path, init) : first;
      if (isRedirect(response)) throw new TypeError("redirected");
      const isJson = response.headers.get("Content-Type")?.includes("json");
      body = isJson ? await response.json() : null;
    } catch (error) {
      const isUnreadable = response && !isRedirect(response);
      throw new SessionUnavailable(isUnreadable ? "unreadable" : "network", 0, error);
    }
    const { status, headers } = response;
    if (response.ok || status === 401) return { status, body, date: Date.parse(headers.get("Date") ?? "") };
    throw new SessionUnavailable(body?.code ?? `http_${status}`, Number(headers.get("Retry-After")) || 0);
  }

  /** @param {News} news */
  #announce(news) {
    this.#learn(news);
    this.#channel?.postMessage(news);
    return this.current;
  }

  /** Store a result that this tab or another one got from the session host. @param {News} news */
  #learn(news) {
    const before = JSON.stringify(this.#news.current);
    this.#news = news;
    this.#heardAt = performance.now();
    this.#margin = Math.min(MARGIN, news.left / 3) * (1 - Math.random() / 5); // random, so that tabs wake up apart
    this.#heard.any += 1;
    if (news.renewed) this.#heard.renewed += 1;
    if (!news.current) this.#heard.ended += 1;
    this.#failures = this.#retryAfter = 0;
    this.#schedule();
    this.#events.dispatchEvent(new Event("result"));
    if (JSON.stringify(news.current) !== before) this.#events.dispatchEvent(new Event("change"));
  }

  /** Milliseconds since the last result, by the wall clock (it runs during sleep) or the monotonic one, if larger. */
  #age() {
    return Math.max(Date.now() - this.#news.at, performance.now() - this.#heardAt);
  }
}

/** @param {Response} response */
const isRedirect = (response) => response.type === "opaqueredirect";

/** @param {string} url */
function originOf(url) {
  const { origin } = new URL(url); // throws at a path
  if (origin === "null") throw new TypeError(`"${url}" is not an origin such as https://api.example.com`);
  return origin;
}

/** @param {Options} [options] */
export const createSession = (options) => new SessionKeeper(options);
