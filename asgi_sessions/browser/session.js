// See README.md. The server alone decides who is signed in: tabs, sockets and clocks are reasons to ask it.

/** @import { Options, Reason, SessionView } from "./types.js" */

const TRY = "try_refresh_token";
const THEFT = "token_theft_detected";
const ENDED = "unauthorised";
const REFRESH = "/session/refresh";
/** @type {Record<string, string>} */
const BACKGROUND = { "X-Background-Request": "1" }; // extends no session
const page = globalThis.document;
const base = () => page?.baseURI ?? globalThis.location?.href; // none in Node

/** @param {Response} answer @returns {Promise<string>} */
const codeOf = async answer => (answer.ok ? "" : answer.clone().json().then(body => body.code).catch(() => ""));

export class Session extends EventTarget {
  #auth;
  #fetch;
  #socket;
  #events;
  /** @type {SessionView["user_id"] | null | undefined} null: nobody; undefined: not known yet */
  #user;
  /** @type {Promise<SessionView | null | undefined> | undefined} */
  #checking;
  /** @type {WebSocket | EventSource | undefined} */
  #line;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  #antiCsrf = "";
  #timer = 0;
  #pause = 500;
  #ends = 0;
  #end = "";
  #renewFrom = Infinity;

  /** @param {Options} options */
  constructor({ auth = "/auth", socket, events, fetch = globalThis.fetch } = {}) {
    super();
    this.#auth = new URL(`${auth}`.replace(/\/$/, ""), base());
    this.#fetch = fetch.bind(globalThis);
    this.#socket = socket && new URL(socket, this.#auth.href.replace("http", "ws"));
    this.#events = events && new URL(events, this.#auth);
    if (!base()) return;
    this.#open();
    if (page) this.#follow();
    addEventListener("online", () => this.check());
    this.check();
  }

  /** As the global one. What its tokens alone have failed is sent again. @type {typeof globalThis.fetch} */
  fetch = async (input, init) => {
    const request = input instanceof Request && input;
    const url = new URL(request ? request.url : `${input}`, base() ?? this.#auth);
    if (url.origin !== this.#auth.origin) return this.#fetch(input, init);
    /** @type {any} */
    const body = init?.body;
    // An old token that comes twice is taken for a thief's.
    const again = body?.getReader || body?.[Symbol.asyncIterator] ? [] : [TRY, TRY, "already_rotated"];
    for (;;) {
      const answer = await this.#send(request ? request.clone() : url, init);
      const code = await codeOf(answer);
      if (code === THEFT) this.#ended(code);
      if (code === ENDED && this.#user != null) await this.check();
      if ((code === TRY && !(await this.#check())) || !again.includes(code)) return answer;
      again.splice(again.indexOf(code), 1);
    }
  };

  /** End the session, in all tabs. */
  async signOut() {
    const answer = await this.fetch(this.#auth + "/signout", { method: "POST" });
    if (answer.ok) this.#ended("signed_out");
    return answer;
  }

  /** Ask who is signed in: null for nobody. Call it after a login. @returns {Promise<SessionView | null | undefined>} */
  async check() {
    await this.#checking; // which may have asked too early
    return this.#check();
  }

  #check() {
    return (this.#checking ??= this.#locked(() => this.#look()).finally(() => (this.#checking = undefined)));
  }

  /** One tab at a time. @param {() => Promise<any>} work */
  async #locked(work) {
    const locks = globalThis.navigator?.locks; // without them the server tells late tabs from thieves
    let done;
    const signal = AbortSignal.timeout(10000); // whoever holds it may be frozen
    await locks?.request(`${this.#auth}`, { signal }, () => (done = work())).catch(() => {});
    return done ?? work();
  }

  /** @returns {Promise<SessionView | null | undefined>} */
  async #look() {
    const ends = this.#ends;
    let code, view;
    try {
      let answer = await this.#ask();
      if ((await codeOf(answer)) === TRY) answer = await this.#ask(REFRESH, "POST");
      if (answer.status === 409) answer = await this.#ask();
      code = await codeOf(answer);
      if (answer.ok) view = await answer.json();
      else if (code ? code === ENDED || code === THEFT : answer.status < 402) view = null; // or leads elsewhere
    } catch {} // no network, no JSON
    if (ends !== this.#ends) return this.#look(); // it was asked before the end
    if (view) this.#seen(view);
    else if (view === null) this.#ended(code === THEFT ? code : ENDED);
    else this.#retry();
    return view;
  }

  /** @param {SessionView} view */
  #seen({ user_id: user, expires_in: left = 1, idle_expires_at: end = "" }) {
    if (this.#user != null && this.#user !== user) this.#ended("another_user");
    this.#user = user;
    if (end !== this.#end) {
      this.#end = end;
      this.#renewFrom = Date.now() + left * 500; // half of the time
    }
    this.#checkIn(1000 * Math.min(left + 1, 3600));
    this.#connect();
  }

  /** @param {Reason} reason */
  #ended(reason) {
    const known = this.#user != null;
    this.#user = null;
    this.#ends++;
    this.#hangUp();
    clearTimeout(this.#timer);
    if (!known && reason !== "signed_out") return;
    this.#channel?.postMessage("");
    this.dispatchEvent(Object.assign(new Event("signedout"), { reason }));
  }

  #checkIn(ms = 0) {
    clearTimeout(this.#timer);
    if (base()) this.#timer = +setTimeout(() => page?.hidden || this.check(), ms);
  }

  #retry() {
    this.#checkIn(this.#pause * (0.5 + Math.random()));
    this.#pause = Math.min(2 * this.#pause, 60000);
  }

  #ask(path = "/session", method = "GET", headers = BACKGROUND) {
    const signal = AbortSignal.timeout(10000);
    return this.#send(new URL(this.#auth + path), { method, headers, signal, cache: "no-store", redirect: "manual" });
  }

  /** @param {URL | Request} input @param {RequestInit} [init] */
  async #send(input, init) {
    const all = { ...init };
    const { headers, credentials } = input instanceof Request ? input : all;
    if (this.#auth.origin !== globalThis.location?.origin && credentials !== "omit") all.credentials ??= "include";
    if (this.#antiCsrf) {
      all.headers = new Headers(all.headers ?? headers);
      all.headers.set("anti-csrf", this.#antiCsrf);
    }
    const answer = await this.#fetch(input, all);
    const token = answer.headers.get("anti-csrf");
    if (token) {
      this.#antiCsrf = token;
      this.#channel?.postMessage(token);
    }
    return answer;
  }

  #connect() {
    if (this.#line) return;
    const line = this.#socket
      ? new WebSocket(this.#socket)
      : this.#events && new EventSource(this.#events, { withCredentials: true });
    if (!line) return;
    const began = performance.now();
    /** @param {any} event */
    const lost = ({ code }) => {
      if (this.#line !== line) return;
      this.#hangUp();
      if (performance.now() - began > 10000) this.#pause = 500;
      code > 4000 ? this.check() : this.#retry();
    };
    this.#line = Object.assign(line, { onerror: lost, onclose: lost });
  }

  #hangUp() {
    this.#line?.close();
    this.#line = undefined;
  }

  #open() {
    this.#channel = new BroadcastChannel(`${this.#auth}`);
    this.#channel.onmessage = ({ data }) => {
      if (data) this.#antiCsrf = data;
      else if (this.#user !== null) this.check();
    };
  }

  #follow() {
    const { style } = page.documentElement;
    const used = async () => {
      if (Date.now() < this.#renewFrom) return;
      this.#renewFrom = Infinity;
      this.#end = "";
      await this.#locked(() => this.#ask(REFRESH, "POST", {})).catch(() => {});
      this.check();
    };
    page.addEventListener("pointerdown", used, true);
    page.addEventListener("keydown", used, true);
    page.addEventListener("visibilitychange", () => page.hidden || this.check());
    addEventListener("pagehide", ({ persisted }) => {
      this.#hangUp(); // open, it would forbid the back/forward cache
      this.#channel?.close();
      this.#channel = undefined;
      if (persisted) style.cssText += ";visibility:hidden!important;opacity:0!important";
    });
    addEventListener("pageshow", async ({ persisted }) => {
      if (!persisted) return;
      this.#open();
      const user = this.#user;
      const view = await this.check();
      if (user !== null && view?.user_id !== user) location.reload();
      else style.visibility = style.opacity = "";
    });
  }
}
