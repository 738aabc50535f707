// What makes the pages better where scripts run: questions open as dialogs, and the list stays as it is on the server.
// Without it every link and form works as well.

const REGION = "devices";
const AGAIN_MS = 60_000;
const BACKGROUND = { "X-Background-Request": "1" };

const live = document.getElementById("live");

// -- times: the reader's own zone, which no server knows

function localTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time")) time.title = format.format(new Date(time.dateTime));
}

// -- questions

async function ask(link) {
  link.setAttribute("aria-busy", "true");
  let asked;
  try {
    asked = await fetch(link.href, { redirect: "manual" });
  } catch {
    location.assign(link.href);
    return;
  } finally {
    link.removeAttribute("aria-busy");
  }
  const content = new DOMParser().parseFromString(await asked.text(), "text/html").querySelector("[data-dialog-content]");
  if (content === null) {
    location.assign(link.href); // leads somewhere else: signed out, or the device is gone
    return;
  }
  show(content, link.href, link.id);
}

function show(content, address, opener) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  // The page that asks is one step below the list: its relative addresses are to be read from there.
  for (const name of ["action", "href"]) {
    for (const each of content.querySelectorAll(`[${name}]`)) {
      each.setAttribute(name, new URL(each.getAttribute(name), address).href);
    }
  }
  localTimes(content);
  dialog.append(content);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-cancel]")) {
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    (document.getElementById(opener) ?? document.getElementById("title"))?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector("[autofocus]") ?? dialog.querySelector("[data-cancel]"))?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (link && plain && typeof HTMLDialogElement === "function") {
    event.preventDefault();
    ask(link);
  }
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.getAttribute("aria-disabled") === "true") {
    event.preventDefault(); // once is enough
    return;
  }
  if (button) {
    button.setAttribute("aria-disabled", "true");
    button.textContent = live?.dataset.busy ?? button.textContent;
  }
});

// -- the list

async function renew() {
  const region = document.getElementById(REGION);
  let answer;
  try {
    // What a redirect says to the next page, that page is to read, and no script.
    answer = await fetch(location.href, { headers: BACKGROUND, redirect: "manual" });
  } catch {
    return; // no network: the stream comes back, and asks again
  }
  if (answer.type === "opaqueredirect" || answer.status === 401) {
    location.reload(); // signed out: to wherever the server leads
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(REGION);
  if (fresh === null || fresh.dataset.version === region.dataset.version) return;
  const open = [...region.querySelectorAll("details[open]")].map((each) => each.id);
  const focused = region.contains(document.activeElement) ? document.activeElement.id : null;
  region.replaceWith(document.adoptNode(fresh));
  localTimes(fresh);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused !== null) (document.getElementById(focused) ?? document.getElementById("others"))?.focus();
  live.textContent = "";
  setTimeout(() => (live.textContent = live.dataset.changed), 100);
}

let stream = null;

function listen() {
  if (stream !== null || document.visibilityState === "hidden") return;
  stream = new EventSource(new URL(document.getElementById(REGION).dataset.news, location.href));
  stream.addEventListener("version", (event) => {
    if (event.data !== document.getElementById(REGION).dataset.version) renew();
  });
  stream.addEventListener("error", () => {
    renew(); // the session has ended, perhaps: whatever the server says to that is for a page, and not for the stream
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    silence();
    setTimeout(listen, AGAIN_MS);
  });
}

function silence() {
  stream?.close();
  stream = null;
}

if (document.getElementById(REGION)) {
  localTimes(document);
  document.getElementById("notice")?.focus();
  // A page that nobody looks at needs no news, and a browser has few connections.
  document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? silence() : listen()));
  addEventListener("pagehide", silence);
  addEventListener("pageshow", listen);
  listen();
}
