// Warns before the session ends because nobody uses it, and offers to stay signed in. To ask how long it lasts is a
// background request, which does not extend it; to stay signed in is a refresh, which does.
"use strict";

(() => {
  const { warnBefore, here } = document.currentScript.dataset; // seconds; where to go at the end
  const background = { "X-Background-Request": "1" };
  const longest = 3600; // timers of browsers cannot wait for weeks, and those of a computer that sleeps stand still
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  const stay = document.createElement("button");
  stay.textContent = "Stay signed in";
  dialog.className = "idle-warning";
  dialog.append(text, stay);
  let waiting;

  const refresh = headers => fetch("/auth/session/refresh", { method: "POST", headers });

  async function ask() {
    const session = () => fetch("/auth/session", { headers: background, cache: "no-store" });
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
        location.replace(here);
        return;
      }
      if (answer.ok) {
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
    if (left > Number(warnBefore)) {
      dialog.close();
      return Math.min(left - Number(warnBefore), longest);
    }
    text.textContent = `You will be signed out in ${left} seconds.`;
    stay.hidden = Date.parse(end) >= Date.parse(last); // its absolute timeout: nothing extends that
    if (!dialog.open) {
      dialog.show();
    }
    return Math.min(Math.max(left, 1), 5);
  }

  stay.onclick = async () => {
    await refresh().catch(() => {});
    look();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      look();
    }
  });
  document.body.append(dialog);
  look();
})();
