// Leads to the sign-in form as soon as the session has ended, wherever it was ended. Without it, or without
// WebSockets, the next click does so.
"use strict";

(() => {
  const { closeCode, here } = document.currentScript.dataset;
  const address = new URL("/api/live", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  let leaving = false;
  let worked = false;
  let pause = 1000;

  function connect() {
    const socket = new WebSocket(address);
    socket.onopen = () => {
      worked = true;
      pause = 1000;
    };
    socket.onclose = ({ code }) => {
      if (leaving) {
        return;
      }
      if (code === Number(closeCode)) {
        location.replace(here);
      } else if (worked) { // the server has restarted, or the computer has slept
        setTimeout(connect, pause * (0.5 + Math.random()));
        pause = Math.min(2 * pause, 60000);
      }
    };
  }

  // Logging out here ends the session too: nothing may overtake the answer to that form.
  addEventListener("beforeunload", () => {
    leaving = true;
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) {
      leaving = false;
      connect();
    }
  });
  connect();
})();
