// Leads to the sign-in form as soon as the session has ended, wherever it was ended. Without it, or without
// WebSockets, the next click does so. A page into which somebody has typed stays, with a banner above it; and so does one
// whose session was replaced, as somebody has signed in from another tab: the banner says who.
//
// Attributes of its tag: data-close-code, the setting websocket_close_code, 4401; data-here, where to go at the end,
// "/"; data-live, the socket's path, "/api/live"; data-form-tag, the session's form_tag, without which nobody is told who
// else has signed in. Only for pages that nobody sees without a session: any other would lead to itself for ever.
"use strict";

(() => {
  const { closeCode = 4401, here = "/", live = "/api/live", formTag } = document.currentScript?.dataset ?? {};
  const address = new URL(live, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  if (formTag) { // the server closes the socket if it is not this session's any more
    address.searchParams.set("form_tag", formTag);
  }
  const shortly = 300; // the answer to another tab's login may come a moment after the end of the session before
  const editable = new Map();
  const alerts = document.createElement("div"); // there before it says something, or nobody has it read aloud
  alerts.setAttribute("role", "alert");
  let leavingUntil = 0;
  let waiting;
  let worked = false;
  let asked = false;
  let successor; // the name of whoever is signed in in place of whom the page was shown to
  let ended = false;
  let pause = 1000;

  function connect() {
    const socket = new WebSocket(address);
    socket.onopen = () => {
      worked = true;
      pause = 1000;
    };
    socket.onmessage = ({ data }) => {
      successor = JSON.parse(data).name;
    };
    socket.onclose = ({ code }) => {
      waiting = setTimeout(closed, leavingUntil - Date.now(), code);
    };
  }

  function closed(code) {
    if (ended) {
      return;
    }
    if (code === Number(closeCode)) {
      if (!formTag || successor !== undefined || asked) {
        end();
      } else { // has somebody else signed in? The server says so on another socket
        asked = true;
        waiting = setTimeout(connect, shortly);
      }
    } else if (worked) { // the server has restarted, or the computer has slept
      waiting = setTimeout(connect, pause * (0.5 + Math.random()));
      pause = Math.min(2 * pause, 60000);
    }
  }

  function end() {
    const typed = somethingIsTyped();
    ended = true;
    if (successor !== undefined) {
      const copy = typed ? "Your text is still here: copy it, then " : "To go on, ";
      say(`You are now signed in as ${successor}, since you or somebody else has signed in in another tab. ` +
        `This page was made before that, and its buttons do nothing. ${copy}`, "load the page again");
    } else if (typed) {
      say("You have been signed out. Your text is still here: copy it, then ", "sign in");
    } else {
      location.replace(here);
    }
  }

  function somethingIsTyped() {
    const texts = [...document.querySelectorAll("[contenteditable]")];
    return [...document.querySelectorAll("input, textarea, select")].some(isChanged) ||
      texts.some(part => part.isContentEditable && part.innerHTML !== (editable.get(part) ?? ""));
  }

  function isChanged(control) {
    if (control.localName === "select") {
      const options = [...control.options];
      const chosen = options.some(option => option.defaultSelected);
      const first = control.multiple ? -1 : options.findIndex(option => !option.disabled); // shown where none is chosen
      return options.some((option, place) => option.selected !== (chosen ? option.defaultSelected : place === first));
    }
    switch (control.type) {
      case "checkbox":
      case "radio":
        return control.checked !== control.defaultChecked;
      case "file":
        return control.files.length > 0;
      case "hidden": // a script's, not somebody's
        return false;
      case "color":
      case "range": // which have a value of their own where the page gives none
        return control.hasAttribute("value") && control.value !== control.defaultValue;
      default:
        return control.value !== control.defaultValue;
    }
  }

  function say(text, whereTo) {
    const link = document.createElement("a");
    link.href = here;
    link.textContent = whereTo;
    const line = document.createElement("p");
    line.append(text, link, ".");
    alerts.className = "banner warning";
    alerts.replaceChildren(line);
  }

  // Logging out here ends the session too: nothing may overtake the answer to that form. A download or a link to a
  // mail program looks the same, and the page stays, so this holds for a while only.
  addEventListener("beforeunload", () => {
    leavingUntil = Date.now() + 10000;
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && !ended) {
      leavingUntil = 0;
      clearTimeout(waiting);
      connect();
    }
  });
  // Another script is about to leave the page, since it has heard of the end before: idle-warning.js.
  addEventListener("sessionended", event => {
    event.preventDefault();
    closed(Number(closeCode));
  });
  function begin() {
    document.querySelectorAll("[contenteditable]").forEach(part => editable.set(part, part.innerHTML));
    document.body.prepend(alerts);
    connect();
  }

  if (document.readyState === "loading") { // in the head, without defer
    addEventListener("DOMContentLoaded", begin);
  } else {
    begin();
  }
})();
