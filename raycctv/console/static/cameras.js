// The cameras at a glance: states as they change, and pictures of what is on the screen, only while somebody looks.
import { follow, percent, timeElement, time } from "./app.js";
import { _ } from "./messages.js";

const PICTURES_PER_S = 8; // of the whole page together, however many cameras it has
const LEAST_S = 1;
const grid = document.getElementById("cameras");
const items = new Map([...grid.children].map((item) => [item.dataset.camera, item]));

const STATES = {
  streaming: [_("live"), "good"], connecting: [_("connecting"), "warn"], offline: [_("offline"), "bad"],
  ended: [_("ended"), ""], unknown: [_("not read"), "bad"],
};
const PROBLEMS = {
  "the camera does not send": _("Offline"), "the camera has not answered yet": _("No answer yet"),
  "nobody reads the camera": _("Not read"), "no footage is being recorded": _("Not recording"),
};

function badge(element, text, kind) {
  element.textContent = text;
  element.className = `badge ${kind}`;
}

function show(state) {
  const item = items.get(state.camera);
  if (!item) return;
  const problems = state.problems.map((problem) => PROBLEMS[problem] ?? problem);
  item.classList.toggle("bad", problems.length > 0);
  item.dataset.problems = problems.join(" · ");
  item.querySelector(".view").dataset.problem = item.dataset.problems;
  badge(item.querySelector("[data-state]"), ...STATES[state.state]);
  const recording = { true: [_("recording"), "good"], false: [_("not recording"), "bad"], null: [_("not recorded"), ""] };
  badge(item.querySelector("[data-recording]"), ...recording[state.recording]);
  item.querySelector("[data-coverage]").textContent = state.coverage_24h === null ? "-" : percent(state.coverage_24h, 2);
  const last = item.querySelector("[data-last]");
  if (!state.last_event) last.textContent = "-";
  else {
    const link = document.createElement("a");
    link.href = `/events/${encodeURIComponent(state.last_event.id)}`;
    link.append(`${_(state.last_event.kind)}, `, timeElement(state.last_event.started_at, "ago"));
    last.replaceChildren(link);
  }
}

function showTroubles() {
  const bad = [...items.values()].filter((item) => item.classList.contains("bad"));
  const box = document.getElementById("troubles");
  box.hidden = bad.length === 0;
  box.replaceChildren(...bad.map((item) => {
    const link = document.createElement("a");
    link.href = `#${item.id}`;
    link.textContent = `${item.dataset.camera}: ${item.dataset.problems}`;
    return link;
  }));
  document.title = bad.length ? `(${bad.length}!) ${_("Cameras")} - raycctv` : `${_("Cameras")} - raycctv`;
}

follow({
  cameras: (states) => { states.forEach(show); showTroubles(); },
  problem: ({ detail }) => lost(detail),
  lost: () => lost(_("The console does not answer. What you see is old.")),
});

function lost(words) {
  const box = document.getElementById("troubles");
  box.hidden = false;
  box.textContent = words;
}

// Pictures: one after the other, in turn, of those on the screen.
const visible = new Set();
const watching = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? visible.add(entry.target) : visible.delete(entry.target);
});
for (const item of items.values()) watching.observe(item);

async function refresh(item) {
  const image = item.querySelector("img");
  const width = Math.min(1280, Math.ceil((image.clientWidth * devicePixelRatio) / 160) * 160 || 320);
  const answer = await fetch(`${image.dataset.picture}?width=${width}`).catch(() => null);
  if (!answer?.ok || answer.status === 204) return;
  const at = answer.headers.get("X-Captured-At");
  const before = image.src;
  image.src = URL.createObjectURL(await answer.blob());
  if (before) URL.revokeObjectURL(before);
  if (at) item.querySelector(".stamp").textContent = time(at, "time");
}

let turn = [];
async function next() {
  if (document.hidden || visible.size === 0) return void setTimeout(next, 500);
  if (turn.length === 0) turn = [...visible];
  const pause_s = Math.max(1 / PICTURES_PER_S, LEAST_S / visible.size);
  const began = performance.now();
  const item = turn.shift();
  if (visible.has(item)) await refresh(item);
  setTimeout(next, Math.max(0, pause_s * 1000 - (performance.now() - began)));
}
next();

const size = document.getElementById("size");
size.value = localStorage.getItem("raycctv_size") ?? "3";
const resize = () => { grid.dataset.size = size.value; localStorage.setItem("raycctv_size", size.value); };
size.addEventListener("input", resize);
resize();
