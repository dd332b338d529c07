/**
 * Keeps the session of flask-corbado-session going in a page with script, and tells the page who is signed in.
 *
 *     import { createSession } from "/session/static/corbado-session.js";
 *     const session = createSession();       // { url: "https://auth.example.com/session" } on another host
 *     session.onChange((current) => show(current ? current.user_id : "signed out"));
 *     await session.start();
 *     const answer = await session.fetch("/api/orders");
 *
 * A visible page has the short session refreshed under a minute before its end; a hidden one lets it lapse, so that a
 * forgotten tab does not outwit the idle timeout. One tab asks for all (Web Locks) and tells the others
 * (BroadcastChannel); where a browser lacks these, each tab looks after itself.
 *
 * It reads no cookie and stores nothing. On another host the short token is held in memory only: in this tab's and,
 * by the channel, which is memory too, in that of the other tabs of this origin.
 *
 * @typedef {{ user_id: string, claims: Record<string, any>, expires_at: string }} Current Who, until when (ISO 8601)
 * @typedef {{ url?: string, api?: string[] }} Options `url`: where the session's routes are, "/session" by default;
 *     `api`: origins that get the short token as bearer beside the session host itself
 * @typedef {{ current?: Current | null, token: string | null, left: number, at: number, renewed: boolean }} News
 *     What the session host said; `left`: milliseconds of the short session, `at`: when it was asked
 */

const SECOND = 1000;
const MARGIN = 55 * SECOND; // how long before its end a short session is refreshed, at most
const LOOK_EVERY = 30 * SECOND; // a timer stands still while the machine sleeps, so it is never set for longer
const STALE = 60 * SECOND; // whoever comes back to the page has what is older asked for again
const AT_MOST_EVERY = 10 * SECOND; // refreshed, whatever the clocks say
const TIMEOUT = 10 * SECOND; // of one request: the other tabs wait for it
const LONGEST_BACKOFF = 60 * SECOND;
const HANDOVER = 50; // ms a lock is kept for the news to reach the tab that waits for it: nothing orders the two

/** The session host did not answer, or not with a session. Nobody is signed out for that; it is tried again. */
export class SessionUnavailable extends Error {
  /**
   * @param {string} code "network", "unreadable", or the answer's `code`
   * @param {number} [retryAfter] in seconds  @param {unknown} [cause]
   */
  constructor(code, retryAfter = 0, cause) {
    super(`The session host did not answer with a session: ${code}.`, { cause });
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
  /** @type {News} */ #news = { token: null, left: 0, at: -Infinity, renewed: false }; // no `current`: nothing is known
  #heardAt = -Infinity; // on the clock that nobody can set
  #heard = { any: 0, renewed: 0, ended: 0 }; // how often
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

  /** Who is signed in; null for nobody, and as long as that is not known. */
  get current() {
    return this.#news.current ?? null;
  }

  /** The short token on another host, while it holds; null on the same host, where the cookie does it. */
  get token() {
    return this.remaining > 0 ? this.#news.token : null;
  }

  /** Milliseconds the short session has left by the session host's clock, whatever this machine's says. */
  get remaining() {
    return this.current ? this.#news.left - this.#age() : 0;
  }

  /** Begin. Resolves to `current` as soon as it is known, however long the network takes; never rejects. */
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
      // a page that comes out of the back-forward cache has missed what the other tabs said
      addEventListener("pageshow", ({ persisted }) => persisted && this.#check(0), { signal });
      this.#check(0);
    }
    if (this.#news.current === undefined) {
      await new Promise((resolve) => this.#events.addEventListener("change", resolve, { once: true }));
    }
    return this.current;
  }

  /** Leave the session alone from now on; it goes on without this page. */
  stop() {
    this.#running?.abort();
    this.#channel?.close();
    clearTimeout(this.#timer);
    this.#running = this.#channel = null;
  }

  /**
   * Call back whenever somebody else is signed in, the session was refreshed, or (with null) nobody is any more.
   * @param {(current: Current | null) => void} listener
   * @returns {() => void} takes it back
   */
  onChange(listener) {
    const call = () => listener(this.current);
    this.#events.addEventListener("change", call);
    return () => this.#events.removeEventListener("change", call);
  }

  /** Have a new short session made now, after a sign-in by script say. Rejects with SessionUnavailable. */
  refresh() {
    return (this.#renewing ??= this.#inTurn(true).finally(() => (this.#renewing = null)));
  }

  /**
   * Sign out, here and in the other tabs. Rejects with SessionUnavailable: the page is then still signed in, unless
   * the code is `logout_incomplete` (this browser is signed out, and the session host's database could not be told).
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
   * `fetch` with the session: to the origins of `api`, and no others, it goes with the bearer (on another host), and
   * is repeated once after a 401 when a refresh helped. Rejects as fetch does, and with SessionUnavailable when the
   * refresh it needs is not to be had: a 401 then would be misread as signed out.
   * @param {RequestInfo | URL} input  @param {RequestInit} [init]
   */
  async fetch(input, init) {
    const request = new Request(input, init);
    if (!this.#api.has(new URL(request.url).origin) || request.headers.has("Authorization")) return fetch(request);
    if (this.#isOtherHost && this.#news.current !== null && !this.token) await this.refresh();
    const before = this.#heard.renewed;
    const response = await this.#send(request.clone());
    if (response.status !== 401 || this.#news.current === null) return response;
    // a step-up (RFC 9470) asks for the person, and no refresh can stand in
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

  /** Timers and events end here: ask if it is time to, or if what is known is older than `stale`. */
  #check(stale = Infinity) {
    if (document.hidden && this.#news.current !== undefined) return;
    const isDue = this.current && this.remaining <= this.#margin && this.#age() >= AT_MOST_EVERY;
    if (!isDue && !this.#failures && this.#age() < stale) return this.#schedule();
    const asked = isDue || this.#isOtherHost ? this.refresh() : this.#look();
    asked.catch(({ message }) => this.#failures > 1 || console.warn(`corbado-session: ${message} It is tried again.`));
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (!this.#running || (!this.current && !this.#failures)) return;
    const backoff = Math.min(Math.max(this.#retryAfter, 2 ** this.#failures) * SECOND, LONGEST_BACKOFF);
    const untilDue = Math.min(Math.max(this.remaining - this.#margin, SECOND), LOOK_EVERY);
    const wait = this.#failures ? backoff * (1 + Math.random() / 4) : untilDue;
    this.#timer = setTimeout(() => this.#check(), wait);
  }

  /** Who is signed in, without a new short session as long as the old one holds. */
  #look() {
    return this.#renewing ?? (this.#looking ??= this.#inTurn(false).finally(() => (this.#looking = null)));
  }

  /** Ask when no other tab does; what one has just been told need not be asked again. @param {boolean} renew */
  async #inTurn(renew) {
    const count = () => (renew ? this.#heard.renewed : this.#heard.any) + this.#heard.ended;
    const before = count();
    try {
      return await this.#alone(async () => (count() === before ? this.#ask(renew) : this.current));
    } catch (/** @type {any} */ error) {
      this.#failures += 1;
      this.#retryAfter = error.retryAfter ?? 0;
      throw error;
    } finally {
      this.#schedule();
    }
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  #alone(work) {
    if (!navigator.locks) return work();
    return new Promise((resolve, reject) => {
      const turn = () => work().then(resolve, reject).then(() => new Promise((done) => setTimeout(done, HANDOVER)));
      navigator.locks.request(this.#name, turn).catch(turn); // a sandboxed frame gets none
    });
  }

  /** @param {boolean} renew */
  async #ask(renew) {
    const { ended } = this.#heard;
    const at = Date.now();
    const { status, date, body } = await this.#call(renew ? "POST" : "GET", renew ? "/refresh" : "");
    if (ended !== this.#heard.ended) return this.current; // signed out meanwhile: what was asked before is no news
    if (status === 401) return this.#announce({ current: null, token: null, left: 0, at, renewed: renew });
    const { claims, expires_at, token = null } = body ?? {};
    const left = Date.parse(expires_at) - (date || at);
    if (!claims || Number.isNaN(left)) throw new SessionUnavailable("unreadable");
    const current = { user_id: claims.sub, claims, expires_at };
    return this.#announce({ current, token, left, at, renewed: renew });
  }

  /** @param {string} method  @param {string} path */
  async #call(method, path) {
    let response, body;
    try {
      response = await fetch(this.#url + path, {
        method,
        credentials: "include",
        cache: "no-store",
        redirect: "error", // a captive portal's sign-in page says nothing about our session
        keepalive: path === "/logout", // the page may go elsewhere right after
        headers: { Accept: "application/json" },
        signal: AbortSignal.timeout?.(TIMEOUT),
      });
      const isJson = response.headers.get("Content-Type")?.includes("json");
      body = isJson ? await response.json() : null;
    } catch (error) {
      throw new SessionUnavailable(response ? "unreadable" : "network", 0, error);
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

  /** Take in what the session host said to this tab or to another one. @param {News} news */
  #learn(news) {
    const before = JSON.stringify(this.#news.current);
    this.#news = news;
    this.#heardAt = performance.now();
    this.#margin = Math.min(MARGIN, news.left / 3) * (1 - Math.random() / 5); // lest all tabs wake at once
    this.#heard.any += 1;
    if (news.renewed) this.#heard.renewed += 1;
    if (!news.current) this.#heard.ended += 1;
    this.#failures = this.#retryAfter = 0;
    this.#schedule();
    if (JSON.stringify(news.current) !== before) this.#events.dispatchEvent(new Event("change"));
  }

  /** Milliseconds since the last news: by the clock that goes on during sleep, or by the one that nobody can set. */
  #age() {
    return Math.max(Date.now() - this.#news.at, performance.now() - this.#heardAt);
  }
}

/** @param {string} url */
function originOf(url) {
  const { origin } = new URL(url); // throws at a path
  if (origin === "null") throw new TypeError(`"${url}" names no origin such as https://api.example.com`);
  return origin;
}

/** @param {Options} [options] */
export const createSession = (options) => new SessionKeeper(options);
