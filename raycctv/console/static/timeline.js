// A day of all cameras: drawn on a canvas, played from where one clicks or drags to, walked through by key.
import { attempt, send, time, zone } from "./app.js";
import { askForExport, local } from "./exporting.js";
import { _ } from "./messages.js";
import { Player } from "./player.js";
import { draw, ROW_PX, RULER_PX } from "./timeline_drawing.js";

const DAY_MS = 86_400_000;
const LOOK_MS = 30_000; // footage is filed about once a minute
const SHORTEST_MS = 60_000;
const canvas = document.getElementById("day");
const names = document.getElementById("names");
const tip = document.getElementById("tip");
const clock = document.getElementById("clock");
const date = document.getElementById("date");
const button = (act) => document.querySelector(`[data-act="${act}"]`);

const player = new Player(document.getElementById("video"));
const asked = new URLSearchParams(location.search);
let rows = []; // { camera, recorded: [[from, to]], gaps: [{from, to, cause}], events: [{id, kind, category, from, to}] }
let day = [0, 0];
let view = [0, 0];
let server_now = Date.now();
let chosen = null; // camera
let hover = null; // { at, x, y, row }
let marks = [null, null]; // a stretch to export
let drawing = 0;
let timer = 0;

// -- what there is -----------------------------------------------------------

function openDay(at) {
  const begin = new Date(at);
  begin.setHours(0, 0, 0, 0);
  const end = new Date(begin);
  end.setDate(end.getDate() + 1); // 23 or 25 hours, now and then
  day = [begin.getTime(), end.getTime()];
  view = [...day];
  date.value = local(begin).slice(0, 10);
  return load();
}

async function load() {
  clearTimeout(timer);
  const [from, to] = day;
  const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  const told = await attempt(() => send("GET", `/api/timeline?${query}`));
  if (!told || from !== day[0]) return;
  server_now = Date.parse(told.now);
  rows = told.cameras.map(parsed);
  if (!rows.some((row) => row.camera === chosen)) chosen = rows[0]?.camera ?? null;
  showNames();
  redraw();
  if (to > server_now && !document.hidden) timer = setTimeout(load, LOOK_MS);
}

function parsed(row) {
  const stretch = (one) => [Date.parse(one.from), Date.parse(one.to)];
  const events = row.events.map((one) => ({
    ...one, from: Date.parse(one.started_at), to: one.ended_at ? Date.parse(one.ended_at) : server_now,
  }));
  return {
    camera: row.camera, coverage: row.coverage, recorded: row.recorded.map(stretch), events,
    gaps: row.gaps.map((gap) => ({ from: Date.parse(gap.from), to: Date.parse(gap.to), cause: gap.cause })),
  };
}

function showNames() {
  if (names.children.length === rows.length && [...names.children].every((item, index) => item.textContent === rows[index].camera)) return mark();
  names.replaceChildren(...rows.map((row) => {
    const item = document.createElement("button");
    item.type = "button";
    item.textContent = row.camera;
    item.addEventListener("click", () => choose(row.camera, true));
    return item;
  }));
  mark();
}

function mark() {
  [...names.children].forEach((item, index) => item.setAttribute("aria-pressed", String(rows[index].camera === chosen)));
}

function choose(camera, play = false) {
  chosen = camera;
  mark();
  if (play) player.show(camera, player.now ?? lastFootage(camera) ?? day[0]);
  redraw();
}

const rowOf = (camera) => rows.find((row) => row.camera === camera);
const lastFootage = (camera) => rowOf(camera)?.recorded.at(-1)?.[0] ?? null;

player.nextFootage = (camera, at) => rowOf(camera)?.recorded.find(([from, to]) => to > at + 1000 && from > at)?.[0] ?? null;

// -- drawing -----------------------------------------------------------------

function redraw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    draw(canvas, { rows, view, chosen, hover, marks, now: player.now, server_now });
  });
}

function showClock() {
  const at = player.now;
  clock.textContent = at === null ? "–" : time(at, "full");
  clock.dateTime = at === null ? "" : new Date(at).toISOString();
  canvas.setAttribute("aria-valuenow", String(Math.round(((at ?? view[0]) - day[0]) / 1000)));
  canvas.setAttribute("aria-valuetext", at === null ? _("nothing plays") : `${player.camera}, ${time(at, "full")}`);
  if (at !== null && at >= day[1]) openDay(at);
  else if (at !== null && player.playing && (at > view[1] || at < view[0])) {
    const span = view[1] - view[0];
    setView(at - span / 10, at + span * 0.9);
  }
  redraw();
}

player.addEventListener("time", showClock);
player.addEventListener("state", () => {
  const box = document.getElementById("words");
  box.textContent = player.words;
  box.hidden = player.words === "";
  document.getElementById("playing").textContent = player.camera ?? "";
  button("play").setAttribute("aria-pressed", String(player.playing));
  button("play").setAttribute("aria-label", player.playing ? _("Pause") : _("Play"));
  document.getElementById("rate").value = String(player.rate);
  showClock();
});

function setView(from, to) {
  const span = Math.min(Math.max(to - from, SHORTEST_MS), day[1] - day[0]);
  const begin = Math.min(Math.max(from, day[0]), day[1] - span);
  view = [begin, begin + span];
  redraw();
}

function zoom(factor, at = player.now ?? (view[0] + view[1]) / 2) {
  const share = (at - view[0]) / (view[1] - view[0]);
  const span = (view[1] - view[0]) * factor;
  setView(at - span * share, at + span * (1 - share));
}

// -- pointer -----------------------------------------------------------------

const instantAt = (x) => view[0] + (x / canvas.clientWidth) * (view[1] - view[0]);
const rowAt = (y) => rows[Math.floor((y - RULER_PX) / ROW_PX)];
const touches = new Map();
let pinch = null;
let pressed = null; // { at, moved, range }

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, place(event));
  if (touches.size === 2) {
    const [[a], [b]] = touches.values();
    pinch = { distance: Math.abs(a - b) || 1, view: [...view], at: instantAt((a + b) / 2) };
    pressed = null;
    return;
  }
  const [x, y] = place(event);
  const row = rowAt(y);
  if (row) choose(row.camera);
  pressed = { at: instantAt(x), range: event.shiftKey, moved: false };
});

canvas.addEventListener("pointermove", (event) => {
  const [x, y] = place(event);
  if (touches.has(event.pointerId)) touches.set(event.pointerId, [x, y]);
  if (pinch && touches.size === 2) {
    const [[a], [b]] = touches.values();
    const span = ((pinch.view[1] - pinch.view[0]) * pinch.distance) / (Math.abs(a - b) || 1);
    const share = (a + b) / 2 / canvas.clientWidth;
    setView(pinch.at - span * share, pinch.at + span * (1 - share));
    return;
  }
  const at = instantAt(x);
  hover = { at, x, y, row: rowAt(y) };
  if (pressed?.range) marks = pressed.at < at ? [pressed.at, at] : [at, pressed.at];
  else if (pressed && chosen && Math.abs(at - pressed.at) > (view[1] - view[0]) / 300) {
    pressed.moved = true;
    scrub(at);
  }
  showTip();
  redraw();
});

let scrubbing = 0;
function scrub(at) { // five times a second: a film is at hand for the next ten minutes
  clearTimeout(scrubbing);
  scrubbing = setTimeout(() => player.show(chosen, at, false), 200);
}

function released(event) {
  touches.delete(event.pointerId);
  if (touches.size < 2) pinch = null;
  if (!pressed || event.type === "pointercancel") return void (pressed = null);
  const [x] = place(event);
  clearTimeout(scrubbing);
  if (pressed.range) showMarks();
  else if (chosen) player.show(chosen, eventNear(x) ?? instantAt(x), true);
  pressed = null;
}
canvas.addEventListener("pointerup", released);
canvas.addEventListener("pointercancel", released);
canvas.addEventListener("pointerleave", () => { hover = null; tip.hidden = true; redraw(); });
canvas.addEventListener("wheel", (event) => {
  if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return; // the page scrolls
  event.preventDefault();
  const [x] = place(event);
  if (event.shiftKey) {
    const moved = ((event.deltaY || event.deltaX) / canvas.clientWidth) * (view[1] - view[0]);
    setView(view[0] + moved, view[1] + moved);
  } else zoom(Math.exp(event.deltaY / 300), instantAt(x));
}, { passive: false });

// A click on an event plays it from a little before.
function eventNear(x) {
  const event = eventAt(rowOf(chosen), instantAt(x));
  return event ? event.from - 3000 : null;
}

function eventAt(row, at) {
  const near = (view[1] - view[0]) / canvas.clientWidth * 4;
  return row?.events.find((one) => one.category === "object" && at >= one.from - near && at <= one.to + near);
}

function showTip() {
  const event = hover.row && eventAt(hover.row, hover.at);
  const gap = hover.row?.gaps.find((one) => hover.at >= one.from && hover.at < one.to);
  const image = tip.querySelector("img");
  tip.querySelector("b").textContent = time(hover.at, view[1] - view[0] < 6 * 3_600_000 ? "time" : "short");
  tip.querySelector("span").textContent = event ? _(event.kind.replaceAll("_", " ")) : gap ? (gap.cause === "camera_offline" ? _("camera offline") : _("not recorded")) : "";
  const source = event ? `/api/events/${encodeURIComponent(event.id)}/snapshot` : "";
  if (image.dataset.source !== source) {
    image.dataset.source = source;
    image.hidden = true;
    if (source) image.src = source;
  }
  tip.hidden = false;
  const left = Math.min(Math.max(hover.x, 80), canvas.clientWidth - 80);
  tip.style.transform = `translate(calc(${left}px - 50%), ${hover.y + 18}px)`;
}
tip.querySelector("img").addEventListener("load", (event) => { event.target.hidden = false; });

// -- next and previous, keys -------------------------------------------------

function goToEvent(direction) {
  const events = (rowOf(chosen)?.events ?? []).filter((one) => one.category === "object");
  const at = (player.camera === chosen ? player.now : null) ?? (direction > 0 ? day[0] : day[1]);
  const found = direction > 0 ? events.find((one) => one.from - 3000 > at + 500) : events.findLast((one) => one.from - 3000 < at - 2000);
  if (found) player.show(chosen, found.from - 3000, true);
  else document.getElementById("words").textContent = direction > 0 ? _("No later event on this day.") : _("No earlier event on this day.");
  document.getElementById("words").hidden = Boolean(found);
}

function moveDay(days) {
  const to = new Date(day[0]);
  to.setDate(to.getDate() + days);
  return openDay(to);
}

function chooseNext(step) {
  const index = rows.findIndex((row) => row.camera === chosen);
  const row = rows[(index + step + rows.length) % rows.length];
  if (row) choose(row.camera, player.now !== null);
}

function setMark(which) {
  if (player.now === null) return;
  marks[which] = player.now;
  if (marks[0] !== null && marks[1] !== null && marks[0] > marks[1]) marks.reverse();
  showMarks();
  redraw();
}

function showMarks() {
  const known = marks[0] !== null && marks[1] !== null;
  document.getElementById("marks").textContent = known ? `${time(marks[0], "time")} – ${time(marks[1], "time")}` : "";
}

function exportMarked() {
  const at = player.now ?? server_now;
  const [from, to] = marks[0] !== null && marks[1] !== null ? marks : [at - 30_000, at + 30_000];
  askForExport(chosen, from, to);
}

const acts = {
  play: () => (player.now === null && chosen ? player.show(chosen, lastFootage(chosen) ?? day[0], true) : player.toggle()),
  back: () => player.step(-10_000), on: () => player.step(10_000),
  previous: () => goToEvent(-1), next: () => goToEvent(1),
  in: () => zoom(0.5), out: () => zoom(2), whole: () => setView(...day),
  "day-before": () => moveDay(-1), "day-after": () => moveDay(1), today: () => openDay(Date.now()),
  "mark-from": () => setMark(0), "mark-to": () => setMark(1), export: exportMarked,
  minute: () => player.step(60_000), "minute-back": () => player.step(-60_000),
  up: () => chooseNext(-1), down: () => chooseNext(1),
  full: () => document.getElementById("video").requestFullscreen?.(),
};
for (const element of document.querySelectorAll("[data-act]")) element.addEventListener("click", () => acts[element.dataset.act]?.());
document.getElementById("rate").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
date.addEventListener("change", () => date.value && openDay(new Date(`${date.value}T12:00`)));

const keys = {
  " ": "play", k: "play", ArrowLeft: "back", ArrowRight: "on", "shift+ArrowLeft": "minute-back", "shift+ArrowRight": "minute",
  n: "next", p: "previous", "+": "in", "=": "in", "-": "out", 0: "whole", ArrowUp: "up", ArrowDown: "down",
  PageUp: "day-before", PageDown: "day-after", "[": "mark-from", "]": "mark-to", e: "export", t: "today", f: "full",
};
const RATES = { 1: 1, 2: 2, 3: 4, 4: 8, 5: 16 };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  if (event.target.closest("button, a") && (event.key === " " || event.key === "Enter")) return;
  if (RATES[event.key]) return void player.setRate(RATES[event.key]);
  const act = keys[event.shiftKey && event.key.startsWith("Arrow") ? `shift+${event.key}` : event.key];
  if (!act || !document.activeElement?.matches("body, main, canvas, .player *, #names button")) return;
  event.preventDefault();
  acts[act]();
});

new ResizeObserver(redraw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : load()));
canvas.title = zone;

const at = asked.get("at") ? Date.parse(asked.get("at")) : null;
chosen = asked.get("camera");
openDay(at ?? Date.now()).then(() => {
  if (at !== null && rowOf(chosen)) {
    setView(at - 1_800_000, at + 1_800_000);
    player.show(chosen, at, true);
  }
});
