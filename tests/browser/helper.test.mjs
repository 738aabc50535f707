// The browser helper in Node, against a real server. Cookies are kept by a jar of the test's own, as Node has none.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

const { HELPER_URL: url, HELPER_CLOCK: clock, HELPER_REFRESH: mode, HELPER_CSRF: csrf, HELPER_MODULE: module } = process.env;
const EXPIRED = Number(process.env.HELPER_STATUS);
const { Session } = await import(module);
const LIFETIME = 301_000;
const MINUTES = 60_000;
const endpoint = mode === "endpoint";
let users = 0;

class Jar {
  cookies = new Map();
  sent = [];
  /** What goes out in place of the jar's cookies for one request that this function takes. */
  instead = () => undefined;

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const path = new URL(request.url).pathname;
    const cookies = this.instead(path) ?? this.cookies;
    request.headers.set("cookie", [...cookies].map(pair => pair.join("=")).join("; "));
    this.sent.push(`${request.method} ${path}`);
    const answer = await fetch(request);
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value, rest] = line.match(/^([^=]+)=([^;]*)(.*)$/);
      if (/max-age=0/i.test(rest)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  };

  count(line) {
    return this.sent.filter(one => one === line).length;
  }
}

async function visitor() {
  const jar = new Jar();
  const session = new Session({ auth: `${url}/auth`, fetch: jar.fetch });
  const reasons = [];
  session.addEventListener("signedout", event => reasons.push(event.reason));
  return { jar, session, reasons, user: `user ${users++}` };
}

async function loggedIn(user) {
  const one = await visitor();
  one.user = user ?? one.user;
  assert.equal((await one.session.fetch(`${url}/log-in?user=${one.user}`, { method: "POST" })).status, 200);
  assert.equal((await one.session.check()).user_id, one.user);
  one.jar.sent = [];
  return one;
}

function later(ms) {
  writeFileSync(`${clock}.new`, String(Number(readFileSync(clock, "utf8")) + ms));
  renameSync(`${clock}.new`, clock); // nobody reads half of it
}
const endElsewhere = user => fetch(`${url}/other-device?user=${user}`, { method: "POST" });
const REFRESH = "POST /auth/session/refresh";

test("after the access token has expired nothing fails, and the tokens are refreshed once", async () => {
  const { jar, session } = await loggedIn();
  later(LIFETIME);
  const answers = await Promise.all(Array.from({ length: 100 }, () => session.fetch(`${url}/me`)));
  assert.deepEqual([...new Set(answers.map(answer => answer.status))], [200]);
  assert.equal(jar.count(REFRESH), endpoint ? 1 : 0);
});

test("bodies that can be read twice are sent again as they were", async () => {
  const { session, user } = await loggedIn();
  const form = new FormData();
  form.append("file", new Blob(["x".repeat(1000)]));
  for (const [body, least] of [
    ["text", 4],
    [new Blob(["blob"]), 4],
    [new Uint8Array(9), 9],
    [new URLSearchParams({ a: "b" }), 3],
    [form, 1000],
  ]) {
    later(LIFETIME);
    const answer = await session.fetch(`${url}/me`, { method: "POST", body });
    assert.equal(answer.status, 200);
    const told = await answer.json();
    assert.equal(told.user, user);
    assert.ok(told.body >= least, `${body}: ${told.body}`);
  }
  later(LIFETIME);
  const request = new Request(`${url}/me`, { method: "PUT", body: "a request", headers: { "x-mine": "1" } });
  assert.deepEqual(await (await session.fetch(request)).json(), { user, body: 9 });
});

test("a stream is sent once; the tokens are new for whatever comes next", { skip: !endpoint }, async () => {
  const { jar, session } = await loggedIn();
  later(LIFETIME);
  const stream = () => new Blob(["streamed"]).stream();
  const first = await session.fetch(`${url}/me`, { method: "POST", body: stream(), duplex: "half" });
  assert.equal((await first.json()).code, "try_refresh_token");
  assert.equal(jar.count("POST /me"), 1);
  const second = await session.fetch(`${url}/me`, { method: "POST", body: stream(), duplex: "half" });
  assert.equal((await second.json()).body, 8);
});

test("an abort is an abort, also where the request would be sent again", async () => {
  const { session } = await loggedIn();
  later(LIFETIME);
  await assert.rejects(session.fetch(`${url}/me`, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a refresh that another one has overtaken is no failure", { skip: !endpoint }, async () => {
  const { jar, session } = await loggedIn();
  const first = new Map(jar.cookies);
  for (let n = 0; n < 2; n++) {
    later(LIFETIME);
    assert.equal((await session.fetch(`${url}/me`)).status, 200);
  }
  // A tab that was slow: until its refresh is answered it has the cookies of before the others'.
  let overtaken = true;
  jar.instead = path => {
    const cookies = overtaken ? first : undefined;
    if (path === "/auth/session/refresh") overtaken = false;
    return cookies;
  };
  jar.sent = [];
  assert.equal((await session.fetch(`${url}/me`)).status, 200);
  assert.deepEqual(jar.sent, ["GET /me", "GET /auth/session", REFRESH, "GET /auth/session", "GET /me"]);
});

test("a request that the middleware has found overtaken is sent again", { skip: endpoint }, async () => {
  const { jar, session } = await loggedIn();
  for (let generation = 0; generation < 6; generation++) {
    const parent = new Map(jar.cookies);
    for (let n = 0; n < 2; n++) {
      later(LIFETIME);
      assert.equal((await session.fetch(`${url}/me`)).status, 200);
    }
    jar.instead = path => {
      jar.instead = () => undefined;
      return path === "/me" ? parent : undefined;
    };
    jar.sent = [];
    assert.equal((await session.fetch(`${url}/me`)).status, 200);
  }
  assert.deepEqual(jar.sent, ["GET /me", "GET /me"]); // 409 at last: it is served so at four generations, and no more
});

test("other origins get their requests as they are, and nothing is done about their answers", async context => {
  const headers = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    response.writeHead(401, { "content-type": "application/json", "anti-csrf": "theirs" });
    response.end('{"code": "try_refresh_token"}');
  }).listen(0, "127.0.0.1");
  context.after(() => server.close() && server.closeAllConnections());
  await once(server, "listening");
  const { jar, session } = await loggedIn();
  const answer = await session.fetch(`http://127.0.0.1:${server.address().port}/me`);
  assert.equal(answer.status, 401);
  assert.equal(headers.length, 1);
  assert.equal(headers[0]["anti-csrf"], undefined);
  assert.equal(jar.sent.length, 1);
  assert.equal((await session.fetch(`${url}/me`)).status, 200); // and their token is none of ours
  assert.equal(jar.count(REFRESH), 0);
});

test("a visitor is told nothing", async () => {
  const { session, reasons } = await visitor();
  assert.equal((await session.fetch(`${url}/me`)).status, EXPIRED);
  assert.equal(await session.check(), null);
  assert.deepEqual(reasons, []);
});

test("a sign-out is told once, and the cookies are gone", async () => {
  const { jar, session, reasons } = await loggedIn();
  assert.equal((await session.signOut()).status, 200);
  assert.deepEqual([...jar.cookies.keys()], []);
  assert.equal((await session.fetch(`${url}/me`)).status, EXPIRED);
  assert.deepEqual(reasons, ["signed_out"]);
});

test("an answer from before the sign-out does not bring the user back", async () => {
  const { jar, reasons } = await loggedIn();
  let open, asked;
  const gate = new Promise(resolve => (open = resolve));
  const first = new Promise(resolve => (asked = resolve));
  const session = new Session({
    auth: `${url}/auth`,
    fetch: async (input, init) => {
      const answer = await jar.fetch(input, init);
      if (answer.ok && new URL(answer.url).pathname.startsWith("/auth/session")) {
        asked();
        await gate;
      }
      return answer;
    },
  });
  session.addEventListener("signedout", event => reasons.push(event.reason));
  const looking = session.check();
  await first;
  await session.signOut();
  open();
  assert.equal(await looking, null);
  assert.deepEqual(reasons, ["signed_out"]);
});

test("an expired access token is no obstacle to a sign-out", async () => {
  const { jar, session, reasons, user } = await loggedIn();
  later(LIFETIME);
  assert.equal((await session.signOut()).status, 200);
  assert.deepEqual([...jar.cookies.keys()], []);
  assert.deepEqual(reasons, ["signed_out"]);
  assert.equal((await (await endElsewhere(user)).json()).ended, 0);
});

test("that the session was ended elsewhere is told once, however many requests find it out", async () => {
  const { session, reasons, user } = await loggedIn();
  await endElsewhere(user);
  const answers = await Promise.all(Array.from({ length: 20 }, () => session.fetch(`${url}/me`)));
  assert.deepEqual([...new Set(answers.map(answer => answer.status))], [EXPIRED]);
  assert.deepEqual(reasons, ["unauthorised"]);
});

test("a session that nobody has used for too long is told of by the next look", async () => {
  const { session, reasons } = await loggedIn();
  later(61 * MINUTES);
  assert.equal(await session.check(), null);
  assert.deepEqual(reasons, ["unauthorised"]);
});

test("a copied token is told as such", async () => {
  const { jar, session, reasons } = await loggedIn();
  const first = new Map(jar.cookies);
  for (let n = 0; n < 3; n++) {
    later(LIFETIME);
    assert.equal((await session.fetch(`${url}/me`)).status, 200);
  }
  jar.cookies = first;
  assert.equal((await session.fetch(`${url}/me`)).status, EXPIRED);
  assert.deepEqual(reasons, ["token_theft_detected"]);
});

test("another user's login is told to whoever has shown this one's page", async () => {
  const { jar, session, reasons } = await loggedIn();
  jar.cookies = (await loggedIn()).jar.cookies;
  assert.match((await session.check()).user_id, /^user/);
  assert.deepEqual(reasons, ["another_user"]);
});

test("a new login of the same user is no end", async () => {
  const { session, reasons, user } = await loggedIn();
  assert.equal((await session.fetch(`${url}/log-in?user=${user}`, { method: "POST" })).status, 200);
  assert.equal((await session.check()).user_id, user);
  assert.deepEqual(reasons, []);
});

test("to ask does not extend the session, though the tokens are refreshed; to use it does", async () => {
  const { session } = await loggedIn();
  const { idle_expires_at: end } = await session.check();
  later(20 * MINUTES);
  await session.check();
  assert.equal((await session.check()).idle_expires_at, end);
  await session.fetch(`${url}/me`);
  assert.ok((await session.check()).idle_expires_at > end);
});

test("a poll that says so does not extend it either, though it has to be sent again", async () => {
  const { session } = await loggedIn();
  const { idle_expires_at: end } = await session.check();
  later(20 * MINUTES);
  const poll = { headers: { "X-Background-Request": "1" } };
  assert.equal((await session.fetch(`${url}/me`, poll)).status, 200);
  assert.equal((await session.check()).idle_expires_at, end);
});

test("while the server is away nobody is told to be signed out", async () => {
  const { jar, session, reasons } = await loggedIn();
  const { fetch } = jar;
  const away = new Session({ auth: `${url}/auth`, fetch: (...given) => (down ? Promise.reject(new TypeError()) : fetch(...given)) });
  let down = false;
  away.addEventListener("signedout", event => reasons.push(event.reason));
  assert.ok(await away.check());
  down = true;
  assert.equal(await away.check(), undefined);
  await assert.rejects(away.fetch(`${url}/me`), TypeError);
  assert.deepEqual(reasons, []);
});

test("the anti-CSRF token goes with each request, and is another one after a refresh", { skip: csrf !== "token" }, async () => {
  const { jar, session } = await loggedIn();
  assert.equal((await jar.fetch(`${url}/me`)).status, EXPIRED); // without it
  assert.equal((await session.fetch(`${url}/me`, { method: "POST", headers: { "x-mine": "1" } })).status, 200);
  assert.equal(jar.count(REFRESH), 0);
  // A page that is new has none, and gets one by a refresh.
  const another = new Session({ auth: `${url}/auth/`, fetch: jar.fetch });
  assert.equal((await another.fetch(`${url}/me`)).status, 200);
  assert.equal(jar.count(REFRESH), 1);
});
