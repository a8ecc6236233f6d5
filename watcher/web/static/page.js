// What the status page does beyond links and forms: it works without all of this.
"use strict";

const RETRY_AFTER = 5000;
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

// --- times ------------------------------------------------------------------------------------

const span = (seconds) => {
  for (const [unit, name] of UNITS) {
    if (seconds >= unit) {
      const number = seconds / unit;
      return `${unit > 60 && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${name}`;
    }
  }
  return `${Math.round(seconds)} s`;
};

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const DAY = { day: "numeric", month: "short" };
const MINUTE = { hour: "2-digit", minute: "2-digit" };
const SECOND = { ...MINUTE, second: "2-digit" };
const THIS_YEAR = new Date().getFullYear();
const formats = new Map();

// A format is made once: that is slow, and a page may have hundreds of times.
function written(at, options) {
  if (new Date(at).getFullYear() !== THIS_YEAR) options = { ...options, year: "numeric" };
  const key = Object.keys(options).join();
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, options));
  return formats.get(key).format(at);
}

const isToday = (at) => new Date(at).toDateString() === new Date().toDateString();

const TELL = {
  ago: (at, from) => (from < 5 ? "just now" : `${span(from)} ago`),
  in: (at, from) => (from > -1 ? "now" : `in ${span(-from)}`),
  at: (at) => written(at, isToday(at) ? MINUTE : { ...DAY, ...MINUTE }),
  day: (at) => written(at, { ...DAY, year: "numeric" }),
  minute: (at) => written(at, { ...DAY, ...MINUTE }),
  second: (at) => written(at, isToday(at) ? SECOND : { ...DAY, ...SECOND }),
};

function tellTime(element) {
  const at = Date.parse(element.dateTime);
  const text = TELL[element.dataset.tell](at, (Date.now() - at) / 1000);
  if (element.textContent !== text) element.textContent = text;
  if (!element.title) element.title = clock.format(at);
}

const tellTimes = (root) => root.querySelectorAll("time[data-tell]").forEach(tellTime);

// --- what changes while one looks ---------------------------------------------------------------

const live = document.getElementById("live");
let stream = null;
let retry = 0;
let shownState = null;
let explained = null; // the heading whose meaning is shown

function tellLive(state, text) {
  if (!live) return;
  live.hidden = false;
  live.className = `live ${state}`;
  live.firstElementChild.textContent = text;
}

function tellCount(id, text) {
  const badge = document.getElementById(id);
  if (!badge) return;
  badge.textContent = text;
  badge.hidden = text === "0";
  if (id === "needs" && document.body.dataset.events.includes("view=overview")) {
    document.title = text === "0" ? "watcher" : `(${text}) watcher`;
  }
}

// An element is the same one in new HTML if it leads to the same, as often as before it.
const keyOf = (one) => one.getAttribute("href") || one.id || one.getAttribute("popovertarget");
const like = (root, key) => [...root.querySelectorAll("a, button, summary")].filter((one) => keyOf(one) === key);

function placeOf(root, element) {
  const key = element && root.contains(element) && keyOf(element);
  return key ? { key, nth: like(root, key).indexOf(element) } : null;
}

const again = (root, place) => place && like(root, place.key)[place.nth];

// Where the focus was in a part, it is again in the new one; what was unfolded or explained stays so.
function exchange(old, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const hint = document.querySelector(".hint:popover-open");
  const focused = placeOf(old, document.activeElement);
  const told = hint && placeOf(old, explained);
  const unfolded = [...old.querySelectorAll("details")].map((one) => one.open);
  old.replaceChildren(fresh.content);
  old.querySelectorAll("details").forEach((one, nth) => { one.open = Boolean(unfolded[nth]); });
  tellTimes(old);
  again(old, focused)?.focus({ preventScroll: true });
  if (told) {
    hint.hidePopover();
    explain({ target: again(old, told) ?? old });
  }
}

async function renew() {
  if (document.querySelector("dialog[open]") || document.activeElement?.matches("input, select")) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.getElementById("main");
  exchange(main, fresh.getElementById("main").innerHTML);
  prepare(main);
}

function listen() {
  const url = document.body.dataset.events;
  if (!url || stream || document.hidden) return;
  stream = new EventSource(url);
  stream.addEventListener("open", () => tellLive("on", "Live"));
  stream.addEventListener("needs", (event) => tellCount("needs", JSON.parse(event.data)));
  stream.addEventListener("unresolved", (event) => tellCount("unresolved", JSON.parse(event.data)));
  stream.addEventListener("part", (event) => {
    const part = JSON.parse(event.data);
    const old = document.getElementById(part.id);
    if (old) exchange(old, part.html);
  });
  stream.addEventListener("order", (event) => {
    if (shownState !== null && shownState !== event.data) renew();
    shownState = event.data;
  });
  stream.addEventListener("error", () => {
    stream.close();
    stream = null;
    tellLive("off", "Not connected");
    clearTimeout(retry);
    retry = setTimeout(listen, RETRY_AFTER);
  });
}

function hush() {
  clearTimeout(retry);
  if (stream) stream.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
window.addEventListener("pagehide", hush);
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  document.querySelectorAll("form").forEach((form) => { delete form.dataset.sent; });
  listen();
});

// --- dialogs, filters, keys ---------------------------------------------------------------------

function prepare(root) {
  root.querySelectorAll("dialog[open]").forEach((dialog) => {
    dialog.close();
    dialog.showModal();
  });
  root.querySelectorAll("form[data-auto] select, form[data-auto] input[type=checkbox]").forEach(
    (field) => field.addEventListener("change", () => field.form.requestSubmit()));
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  const closer = event.target.closest("[data-closes]");
  if (opener) {
    event.preventDefault();
    document.getElementById(opener.dataset.opens).showModal();
  } else if (closer && closer.closest("dialog")) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
});

document.addEventListener("change", (event) => {
  const name = event.target.dataset.ticks;
  if (!name) return;
  document.querySelectorAll(`input[name="${name}"]`).forEach((box) => { box.checked = event.target.checked; });
});

// A form is sent once; fields that say nothing are left out of the address.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "post") {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  } else if (form.method === "get") {
    form.querySelectorAll("input, select").forEach((field) => { if (!field.value) field.disabled = true; });
    setTimeout(() => form.querySelectorAll("input, select").forEach((field) => { field.disabled = false; }));
  }
});

// The meaning of a heading: without this file, a click, a tap or Enter shows it.
function explain(event) {
  const term = event.target.closest?.(".term");
  if (!term || event.pointerType === "touch") return;
  explained = term;
  const hint = document.getElementById(term.getAttribute("popovertarget"));
  if (!hint.matches(":popover-open")) hint.showPopover({ source: term });
}

function hide(event) {
  const term = event.target.closest?.(".term");
  if (!term || event.pointerType === "touch" || document.activeElement === term) return;
  document.getElementById(term.getAttribute("popovertarget")).hidePopover();
}

for (const type of ["pointerover", "focusin"]) document.addEventListener(type, explain);
for (const type of ["pointerout", "focusout"]) document.addEventListener(type, hide);

const PLACES = { h: "/", o: "/orders", a: "/actions", p: "/panels", s: "/services" };
let went = 0;

function step(by) {
  const rows = [...document.querySelectorAll("main tbody .lead a, main .needs .todo, main .feed a")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
  const follows = event.timeStamp - went < 1500;
  if (follows && PLACES[event.key]) location.href = PLACES[event.key];
  else if (event.key === "g") went = event.timeStamp;
  else if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search")?.select();
  } else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "?") document.getElementById("keys").showModal();
});

document.documentElement.classList.add("js");
document.querySelector("footer [data-opens]").hidden = false;
prepare(document);
tellTimes(document);
setInterval(() => tellTimes(document), 1000);
listen();
