// How a day looks: a ruler, and for each camera footage, gaps with their cause, and events.
import { time } from "./app.js";

export const RULER_PX = 26;
export const ROW_PX = 34;
const PAD_PX = 5;
const EVENT_PX = 9;
const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600].map((s) => s * 1000);
const LABEL_PX = 92;

export function draw(canvas, { rows, view, chosen, hover, marks, now, server_now }) {
  const scale = devicePixelRatio;
  const width = canvas.clientWidth;
  const height = RULER_PX + rows.length * ROW_PX;
  if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const colour = colours(canvas);
  const x = (at) => ((at - view[0]) / (view[1] - view[0])) * width;
  ruler(pen, view, x, width, height, colour);
  rows.forEach((row, index) => drawRow(pen, row, RULER_PX + index * ROW_PX, x, width, colour, row.camera === chosen));
  if (server_now < view[1]) {
    pen.fillStyle = colour.ground;
    pen.globalAlpha = 0.55;
    pen.fillRect(Math.max(0, x(server_now)), RULER_PX, width, height);
    pen.globalAlpha = 1;
  }
  if (marks[0] !== null && marks[1] !== null) {
    pen.fillStyle = colour.accent;
    pen.globalAlpha = 0.22;
    pen.fillRect(x(marks[0]), 0, Math.max(1, x(marks[1]) - x(marks[0])), height);
    pen.globalAlpha = 1;
  }
  for (const at of marks) if (at !== null) line(pen, x(at), height, colour.accent, 1);
  if (hover) line(pen, hover.x, height, colour.soft, 1);
  if (now !== null) playhead(pen, x(now), height, colour);
}

function drawRow(pen, row, top, x, width, colour, chosen) {
  const [y, tall] = [top + PAD_PX, ROW_PX - 2 * PAD_PX];
  pen.fillStyle = chosen ? colour.raised : colour.surface;
  pen.fillRect(0, top, width, ROW_PX - 1);
  bar(pen, x, width, row.recorded, y, tall, colour.footage);
  for (const gap of row.gaps) bar(pen, x, width, [[gap.from, gap.to]], y, tall, gap.cause === "camera_offline" ? colour.away : colour.missing);
  bar(pen, x, width, row.events.filter((one) => one.category === "motion").map((one) => [one.from, one.to]), y + tall - 4, 4, colour.motion);
  for (const event of row.events) {
    if (event.category === "object") bar(pen, x, width, [[event.from, event.to]], y, EVENT_PX, colour.kind(event.kind), 3);
  }
}

function bar(pen, x, width, stretches, y, tall, style, least = 1) {
  pen.fillStyle = style;
  for (const [from, to] of stretches) {
    const left = Math.max(0, x(from));
    const right = Math.min(width, x(to));
    if (right >= 0 && left <= width && right - left > -1) pen.fillRect(left, y, Math.max(least, right - left), tall);
  }
}

function ruler(pen, view, x, width, height, colour) {
  const least_ms = ((view[1] - view[0]) / width) * LABEL_PX;
  const step = STEPS_MS.find((one) => one >= least_ms) ?? STEPS_MS.at(-1);
  const offset = new Date(view[0]).getTimezoneOffset() * 60_000;
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  pen.textBaseline = "middle";
  for (let at = Math.ceil((view[0] - offset) / step) * step + offset; at <= view[1]; at += step) {
    line(pen, x(at), height, colour.line, 1);
    pen.fillStyle = colour.soft;
    if (x(at) < LABEL_PX / 3 || x(at) > width - LABEL_PX / 3) continue; // no room for it
    pen.textAlign = "center";
    pen.fillText(time(at, step < 60_000 ? "time" : "short"), x(at), RULER_PX / 2);
  }
}

function line(pen, at, height, style, thick) {
  pen.fillStyle = style;
  pen.fillRect(Math.round(at), RULER_PX - 4, thick, height);
}

function playhead(pen, at, height, colour) {
  line(pen, at - 1, height, colour.text, 2);
  pen.beginPath();
  pen.moveTo(at - 6, RULER_PX - 10);
  pen.lineTo(at + 6, RULER_PX - 10);
  pen.lineTo(at, RULER_PX - 1);
  pen.fill();
}

function colours(canvas) {
  const style = getComputedStyle(canvas);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const named = Object.fromEntries(["ground", "surface", "raised", "line", "text", "soft", "accent"].map((name) => [name, resolved(canvas, of(name))]));
  const drawn = Object.fromEntries(["footage", "away", "missing", "motion", "person", "vehicle", "other"].map((name) => [name, resolved(canvas, of(`day-${name}`))]));
  const kinds = { person: drawn.person, car: drawn.vehicle, truck: drawn.vehicle, bus: drawn.vehicle, motorcycle: drawn.vehicle, bicycle: drawn.vehicle };
  return { ...named, ...drawn, kind: (kind) => kinds[kind] ?? drawn.other };
}

// light-dark() is not a colour that a canvas understands; what it comes to for an element is.
const probe = document.createElement("span");
function resolved(canvas, value) {
  probe.hidden = true;
  probe.style.color = value;
  canvas.parentElement.append(probe);
  return getComputedStyle(probe).color;
}
