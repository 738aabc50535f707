// Leads to the sign-in form as soon as the session has ended, wherever it was ended. Without it, or without
// WebSockets, the next click does so.
//
// Attributes of its tag: data-close-code, the setting websocket_close_code, 4401; data-here, where to go at the end,
// "/"; data-live, the socket's path, "/api/live". Only for pages that nobody sees without a session: any other would lead
// to itself for ever.
"use strict";

(() => {
  const { closeCode = 4401, here = "/", live = "/api/live" } = document.currentScript?.dataset ?? {};
  const address = new URL(live, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  let leavingUntil = 0;
  let waiting;
  let worked = false;
  let pause = 1000;

  function connect() {
    const socket = new WebSocket(address);
    socket.onopen = () => {
      worked = true;
      pause = 1000;
    };
    socket.onclose = ({ code }) => {
      waiting = setTimeout(closed, leavingUntil - Date.now(), code);
    };
  }

  function closed(code) {
    if (code === Number(closeCode)) {
      location.replace(here);
    } else if (worked) { // the server has restarted, or the computer has slept
      waiting = setTimeout(connect, pause * (0.5 + Math.random()));
      pause = Math.min(2 * pause, 60000);
    }
  }

  // Logging out here ends the session too: nothing may overtake the answer to that form. A download or a link to a
  // mail program looks the same, and the page stays, so this holds for a while only.
  addEventListener("beforeunload", () => {
    leavingUntil = Date.now() + 10000;
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) {
      leavingUntil = 0;
      clearTimeout(waiting);
      connect();
    }
  });
  connect();
})();
