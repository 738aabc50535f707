// A company's OpenID provider, for tests and for the example on one's own machine: npm's oidc-provider on loopback,
// with two users, and all that it keeps in memory. The first line of standard input says where, and for which
// applications; it ends where that input does, so that it never outlives whoever has started it.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const lines = createInterface({ input: process.stdin });
const { module, port, clients } = JSON.parse(await new Promise((resolve) => lines.once("line", resolve)));
lines.once("close", () => process.exit());
const { Provider } = await import(pathToFileURL(module));
const issuer = `http://127.0.0.1:${port}`;

const PASSWORD = "correct horse";
const USERS = {
  ada: { name: "Ada Lovelace", email: "ada@company.example" },
  grace: { name: "Grace Hopper", email: "grace@company.example" },
};

const tell = (what, more = {}) => process.stdout.write(`${JSON.stringify({ what, ...more })}\n`);
const escaped = (text) => String(text).replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);

function page(title, body) {
  return `<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">
  <title>${title}</title>
  <style>
    :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
    main { max-width: 22rem; margin: 12vh auto; padding: 0 1rem; }
    label, input, button { display: block; box-sizing: border-box; width: 100%; font: inherit; }
    input, button { margin: .25rem 0 1rem; padding: .5rem .75rem; }
    [role=alert] { color: light-dark(#a00, #f99); }
  </style>
</head>
<body><main><p>The company's provider</p><h1>${title}</h1>${body}</main></body>
</html>`;
}

function signInPage(action, application, wrong) {
  return page(
    "Sign in",
    `<p>to go on to ${escaped(application)}</p>
    ${wrong ? '<p role="alert">The name or the password is wrong.</p>' : ""}
    <form method="post" action="${escaped(action)}">
      <label for="login">Name</label><input id="login" name="login" autocomplete="username" required autofocus>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required>
      <button>Sign in</button>
    </form>
    <p>Here are ${Object.keys(USERS).join(" and ")}; the password of both is “${PASSWORD}”.</p>`,
  );
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
}

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ backchannel_logout_session_required: true, ...client })),
  // It refuses addresses of this machine otherwise, and there is nothing else here.
  fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }),
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      logoutSource(ctx, form) {
        ctx.body = page(
          "Sign out of everything?",
          `${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>
          <button form="op.logoutForm">No, stay signed in</button>`,
        );
      },
      postLogoutSuccessSource(ctx) {
        ctx.body = page("You are signed out", "");
      },
    },
  },
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  conformIdTokenClaims: false, // the name is in the ID token, as most companies' providers do it
  pkce: { required: () => true },
  cookies: { keys: ["of these tests and of the example alone"] },
  ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Grant: 86400, Session: 86400 },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount(ctx, id) {
    return id in USERS ? { accountId: id, claims: () => ({ sub: id, ...USERS[id] }) } : undefined;
  },
  // The company's own applications ask nobody for consent.
  async loadExistingGrant(ctx) {
    const known = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
    if (known) return ctx.oidc.provider.Grant.find(known);
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
  async renderError(ctx, out) {
    ctx.type = "html";
    ctx.body = page("This did not work", Object.values(out).map((text) => `<p>${escaped(text)}</p>`).join(""));
  },
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const { prompt, params } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name !== "login") ctx.throw(501);
  let wrong = false;
  if (ctx.method === "POST") {
    const form = await bodyOf(ctx.req);
    const login = form.get("login") ?? "";
    if (Object.hasOwn(USERS, login) && form.get("password") === PASSWORD) {
      ctx.respond = false;
      return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: login } });
    }
    wrong = true;
  }
  ctx.set("Cache-Control", "no-store");
  ctx.status = wrong ? 422 : 200;
  ctx.type = "html";
  ctx.body = signInPage(ctx.path, params.client_id, wrong);
});

provider.on("backchannel.success", (ctx, client, sub, sid) => tell("told", { client: client.clientId, sub, sid }));
provider.on("backchannel.error", (ctx, error, client, sub, sid) =>
  tell("not told", { client: client.clientId, sub, sid, error: error.message }),
);
provider.on("server_error", (ctx, error) => tell("error", { error: error.stack }));

const server = provider.listen(port, "127.0.0.1", () => tell("listens", { issuer }));
server.on("error", (error) => {
  tell("error", { error: error.message });
  process.exit(1);
});
