// What every page needs: requests that the server takes, times in the viewer's zone, light or dark, language.
import { _, locale } from "./messages.js";

const csrf = document.querySelector('meta[name="csrf-token"]').content;

// Ask the API. Returns the answer's JSON (null without any); throws an Error that says why not.
export async function send(method, url, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Error(_("The console does not answer."));
  }
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? `${answer.status} ${answer.statusText}`);
  return answer.status === 204 ? null : answer.json();
}

// Say something in a corner; a problem stays until it is closed.
export function notice(text, problem = false) {
  const box = document.createElement("div");
  box.className = problem ? "notice problem" : "notice";
  box.textContent = text;
  const close = document.createElement("button");
  close.className = "quiet";
  close.textContent = "×";
  close.setAttribute("aria-label", _("Close"));
  close.onclick = () => box.remove();
  box.append(close);
  document.getElementById("notices").append(box);
  if (!problem) setTimeout(() => box.remove(), 6000);
}

// Do it, and say what went wrong.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notice(error.message, true);
    return undefined;
  }
}

const formats = {
  time: new Intl.DateTimeFormat(locale, { timeStyle: "medium" }),
  short: new Intl.DateTimeFormat(locale, { timeStyle: "short" }),
  date: new Intl.DateTimeFormat(locale, { dateStyle: "medium" }),
  full: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }),
};
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });

export function time(iso, format = "full") {
  const at = new Date(iso);
  if (format !== "ago") return formats[format].format(at);
  const seconds = (at - Date.now()) / 1000;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return relative.format(Math.round(seconds / size), unit);
  }
  return relative.format(Math.round(Math.min(seconds, 0)), "second");
}

// A <time> element; its title has the date and the zone.
export function timeElement(iso, format = "full") {
  const element = document.createElement("time");
  element.dateTime = iso;
  element.dataset.format = format;
  showTime(element);
  return element;
}

function showTime(element) {
  element.textContent = time(element.dateTime, element.dataset.format || "full");
  element.title = `${time(element.dateTime)} (${zone})`;
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function bytes(count) {
  const unit = Math.min(4, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(count / 1000 ** unit)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

export const percent = (share, digits = 1) =>
  new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: digits, roundingMode: "floor" }).format(share);

// Changes as they come: handlers by the kind of update. Closed while the page is hidden.
export function follow(handlers) {
  let source;
  const open = () => {
    source = new EventSource("/api/live-updates");
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => handle(event.data === undefined ? null : JSON.parse(event.data)));
    }
    source.onerror = () => handlers.lost?.();
  };
  const look = () => {
    if (document.hidden) source?.close();
    else if (!source || source.readyState === EventSource.CLOSED) open();
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => source?.close());
  look();
}

// Instants and sizes that the server wrote, as this viewer reads them.
export function show(part) {
  for (const element of part.querySelectorAll("time[datetime]")) showTime(element);
  for (const element of part.querySelectorAll("[data-bytes]")) element.textContent = bytes(Number(element.dataset.bytes));
}
show(document);

const zoneLine = document.getElementById("zone");
if (zoneLine) {
  zoneLine.querySelector("b").textContent = zone;
  zoneLine.hidden = false;
}

document.getElementById("theme")?.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("raycctv_theme", root.dataset.theme);
});

document.getElementById("language")?.addEventListener("change", (event) => {
  document.cookie = `raycctv_language=${event.target.value}; Path=/; Max-Age=31536000; SameSite=Lax`;
  location.reload();
});
