// Warns before the session ends because nobody uses it, and offers to stay signed in. To ask how long it lasts is a
// background request, which does not extend it; to stay signed in is a refresh, which does.
//
// Attributes of its tag: data-warn-before, in seconds, 120; data-here, where to go at the end, "/"; data-routes, where
// the session's routes are, "/auth". Where nobody is signed in it does nothing, so any page may have it.
"use strict";

(() => {
  const tag = document.currentScript?.dataset ?? {};
  const warnBefore = Number(tag.warnBefore) || 120;
  const { here = "/", routes = "/auth" } = tag;
  const background = { "X-Background-Request": "1" };
  const longest = 3600; // timers of browsers cannot wait for weeks, and those of a computer that sleeps stand still
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  const stay = document.createElement("button");
  stay.textContent = "Stay signed in";
  dialog.className = "idle-warning";
  Object.assign(dialog.style, { position: "fixed", inset: "auto 1rem 1rem auto", margin: "0" });
  dialog.append(text, stay);
  let waiting;
  let wasSignedIn = false; // since the page is there: a page that shows without a login would go to itself for ever

  const refresh = headers => fetch(`${routes}/session/refresh`, { method: "POST", headers });

  async function ask() {
    const session = () => fetch(`${routes}/session`, { headers: background, cache: "no-store" });
    const answer = await session();
    if (answer.status === 401 && (await answer.clone().json()).code === "try_refresh_token") {
      await refresh(background); // only with refresh="endpoint"
      return session();
    }
    return answer;
  }

  async function look() {
    clearTimeout(waiting);
    let wait = 60; // where the network, or the server, does not answer
    try {
      const answer = await ask();
      if (answer.status === 401) {
        // Another script may keep a page into which somebody has typed: by a listener that prevents the default.
        if (wasSignedIn && dispatchEvent(new Event("sessionended", { cancelable: true }))) {
          location.replace(here);
        }
        return;
      }
      if (answer.ok) {
        wasSignedIn = true;
        wait = show(await answer.json());
      }
    } catch {
      // asked again
    }
    clearTimeout(waiting);
    waiting = setTimeout(look, 1000 * wait);
  }

  // Returns in how many seconds to ask again: another tab may have extended the session meanwhile.
  function show({ expires_in: left, expires_at: last, idle_expires_at: end }) {
    if (left > warnBefore) {
      dialog.close();
      return Math.min(left - warnBefore, longest);
    }
    text.textContent = `You will be signed out in ${left} seconds.`;
    stay.hidden = Date.parse(end) >= Date.parse(last); // its absolute timeout: nothing extends that
    if (!dialog.open) {
      dialog.show();
    }
    return Math.min(Math.max(left, 1), 5);
  }

  function begin() {
    document.body.append(dialog);
    look();
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") {
        look();
      }
    });
  }

  stay.onclick = async () => {
    await refresh().catch(() => {});
    look();
  };
  if (document.readyState === "loading") { // in the head, without defer
    addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
