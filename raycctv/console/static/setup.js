// Setting up a camera: the page holds the settings as the API gives them, and draws them anew after each change.
import { attempt, notice, percent, send, timeElement } from "./app.js";
import { _, locale } from "./messages.js";
import { PolygonEditor } from "./polygons.js";

const byId = (id) => document.getElementById(id);
const camera = byId("setup").dataset.camera;
const api = `/api/setup/${camera}`;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

let answer = null; // as the server gave it
let settings = null; // as they are on the page, without masks and zones, which the editor has
let past = [];
let last = "";

const editor = new PolygonEditor(byId("drawing"), {
  changed: () => changed(),
  selected: () => showShapes(),
  say: (text) => { byId("said").textContent = text; },
  ended: () => { byId("finish").hidden = true; },
});

// --- the settings as one value

const polygons = (kind) => Object.fromEntries(editor.shapes.filter((shape) => shape.kind === kind).map((shape) => [shape.name, shape.points]));
const current = () => ({ masks: polygons("mask"), zones: polygons("zone"), objects: settings.objects, motion: settings.motion });

function take(given) {
  const copy = structuredClone(given);
  settings = { objects: copy.objects, motion: copy.motion };
  editor.drawing = null;
  editor.shapes = [
    ...Object.entries(copy.masks).map(([name, points]) => ({ kind: "mask", name, points })),
    ...Object.entries(copy.zones).map(([name, points]) => ({ kind: "zone", name, points })),
  ];
  editor.select(null);
  last = JSON.stringify(current());
  showAll();
}

// Something is otherwise than before: remember how it was.
function changed() {
  const now = JSON.stringify(current());
  if (now === last) return;
  past.push(last);
  past = past.slice(-100);
  last = now;
  showAll();
}

const unsaved = () => answer !== null && JSON.stringify(current()) !== JSON.stringify(ordered(answer.settings));
const ordered = ({ masks, zones, objects, motion }) => ({ masks, zones, objects, motion });

function showAll() {
  showShapes();
  showMotion();
  showRules();
  const different = unsaved();
  byId("undo").disabled = past.length === 0;
  byId("save").disabled = !different || answer.hindrance !== null;
  byId("revert").disabled = !different;
  byId("unsaved").textContent = different ? _("There are changes that are not saved.") : "";
}

// --- masks and zones

function freeName(kind) {
  const taken = new Set(editor.shapes.map((shape) => shape.name));
  let number = 1;
  while (taken.has(`${kind}${number}`)) number += 1;
  return `${kind}${number}`;
}

function showShapes() {
  if (settings === null) return;
  for (const kind of ["mask", "zone"]) {
    const list = document.querySelector(`[data-list="${kind}"]`);
    if (list.contains(document.activeElement) && document.activeElement.matches("input")) continue;
    const shapes = editor.shapes.filter((shape) => shape.kind === kind);
    list.replaceChildren(...(shapes.length ? shapes.map(shapeEntry) : [nothing(_("None."))]));
  }
}

function nothing(text) {
  const entry = document.createElement("li");
  entry.className = "empty";
  entry.textContent = text;
  return entry;
}

function shapeEntry(shape) {
  const entry = document.createElement("li");
  entry.classList.toggle("selected", shape === editor.selected);
  const name = document.createElement("input");
  name.value = shape.name;
  name.maxLength = 64;
  name.spellcheck = false;
  name.setAttribute("aria-label", shape.kind === "mask" ? _("Name of the mask") : _("Name of the zone"));
  name.onfocus = () => editor.select(shape);
  name.onchange = () => rename(shape, name);
  const remove = button("×", _("Delete {name}", shape), () => {
    if (shape.kind === "zone") forgetZone(shape.name);
    editor.remove(shape);
  });
  remove.className = "quiet danger";
  entry.append(name, remove);
  return entry;
}

function button(text, label, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.onclick = action;
  return made;
}

function rename(shape, input) {
  const name = input.value.trim();
  const taken = editor.shapes.some((other) => other !== shape && other.kind === shape.kind && other.name === name);
  if (!NAME.test(name) || taken) {
    input.setCustomValidity(taken ? _("There is one of this name already.") : _("Use letters, digits, - and _, beginning with a letter or digit."));
    input.reportValidity();
    input.value = shape.name;
    setTimeout(() => input.setCustomValidity(""), 3000);
    return;
  }
  if (shape.kind === "zone") {
    for (const rule of Object.values(settings.objects)) rule.zones = rule.zones.map((zone) => (zone === shape.name ? name : zone));
  }
  shape.name = name;
  editor.draw();
  changed();
}

function forgetZone(name) {
  for (const rule of Object.values(settings.objects)) rule.zones = rule.zones.filter((zone) => zone !== name);
}

for (const add of document.querySelectorAll("[data-add]")) {
  add.addEventListener("click", (event) => {
    const kind = add.dataset.add;
    if (event.detail === 0) { // pressed by key: begin with a square, whose first corner has the keyboard
      editor.add(kind, freeName(kind));
      editor.focusCorner(0);
      return;
    }
    editor.begin(kind, freeName(kind));
    byId("finish").hidden = false;
  });
}
byId("finish").onclick = () => editor.finish();
byId("undo").onclick = () => {
  const before = past.pop();
  if (before === undefined) return;
  take(JSON.parse(before));
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") editor.cancel();
  if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.target.matches("input")) byId("undo").click();
});

// --- thresholds. Sliders are logarithmic: what matters is how many times as much.

const SCALES = {
  sensitivity: { value: (step) => Number((10 ** (step / 100)).toPrecision(2)), step: (value) => Math.round(100 * Math.log10(value)) },
  min_area: { value: (step) => Number((1e-4 * 10 ** (step / 40)).toPrecision(2)), step: (value) => Math.round(40 * Math.log10(Math.max(value, 1e-4) / 1e-4)) },
};

function motionText(key, value) {
  if (key === "sensitivity") return _("{value} × normal", { value: new Intl.NumberFormat(locale).format(value) });
  const [width, height] = answer.frame_px ?? [0, 0];
  const share = new Intl.NumberFormat(locale, { style: "percent", maximumSignificantDigits: 2 }).format(value);
  if (width === 0) return _("{share} of the picture", { share });
  const side = Math.round(Math.sqrt(value * width * height));
  return _("{share} of the picture, {side} × {side} of {width} × {height} pixels", { share, side, width, height });
}

function showMotion() {
  for (const part of document.querySelectorAll("[data-motion]")) {
    const key = part.dataset.motion;
    const own = settings.motion[key];
    const slider = part.querySelector("input[type=range]");
    const value = own ?? answer.motion[key];
    part.querySelector("input[type=checkbox]").checked = own === null;
    slider.disabled = own === null;
    if (document.activeElement !== slider) slider.value = SCALES[key].step(value);
    part.querySelector("output").textContent = motionText(key, value);
    slider.setAttribute("aria-valuetext", motionText(key, value));
  }
}

for (const part of document.querySelectorAll("[data-motion]")) {
  const key = part.dataset.motion;
  const slider = part.querySelector("input[type=range]");
  slider.oninput = () => {
    settings.motion[key] = SCALES[key].value(Number(slider.value));
    showMotion();
  };
  slider.onchange = changed;
  part.querySelector("input[type=checkbox]").onchange = (event) => {
    settings.motion[key] = event.target.checked ? null : answer.motion[key];
    changed();
  };
}

function showRules() {
  const list = byId("rules");
  const focused = list.contains(document.activeElement) ? document.activeElement.id : null;
  const labels = Object.keys(settings.objects);
  list.replaceChildren(...(labels.length ? labels.map(ruleEntry) : [nothing(_("Nothing: this camera raises events of motion alone."))]));
  if (focused) byId(focused)?.focus();
  const free = answer.labels.filter((label) => !(label in settings.objects));
  byId("new-label").replaceChildren(...free.map((label) => new Option(_(label), label)));
}

function ruleEntry(label, index) {
  const rule = settings.objects[label];
  const entry = document.createElement("li");
  entry.className = "rule";
  const head = document.createElement("div");
  head.className = "row";
  const title = document.createElement("strong");
  title.textContent = _(label);
  const output = document.createElement("output");
  const remove = button("×", _("Delete {name}", { name: _(label) }), () => {
    delete settings.objects[label];
    changed();
  });
  remove.className = "quiet danger";
  head.append(title, output, remove);
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 1, value: Math.round(rule.min_score * 100), id: `rule-${index}` });
  slider.setAttribute("aria-label", _("Least score of {label}", { label: _(label) }));
  const show = () => { output.textContent = _("from a score of {score}", { score: percent(Number(slider.value) / 100, 0) }); };
  slider.oninput = () => {
    rule.min_score = Number(slider.value) / 100;
    show();
  };
  slider.onchange = changed;
  show();
  const zones = editor.shapes.filter((shape) => shape.kind === "zone").map((shape) => shape.name);
  entry.append(head, slider, ...(zones.length ? [zoneChoice(label, rule, index, zones)] : []));
  return entry;
}

function zoneChoice(label, rule, index, zones) {
  const choice = document.createElement("fieldset");
  choice.className = "zones";
  const legend = document.createElement("legend");
  legend.className = "visually-hidden";
  legend.textContent = _("Zones in which {label} counts", { label: _(label) });
  const where = document.createElement("small");
  where.className = "soft";
  where.textContent = rule.zones.length === 0 ? _("Counts everywhere.") : _("Counts only in:");
  choice.append(legend, where, ...zones.map((zone, number) => {
    const entry = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: rule.zones.includes(zone), id: `rule-${index}-zone-${number}` });
    box.onchange = () => {
      rule.zones = zones.filter((name) => (name === zone ? box.checked : rule.zones.includes(name)));
      changed();
    };
    entry.append(box, zone);
    return entry;
  }));
  return choice;
}

byId("add-rule").onclick = () => {
  const label = byId("new-label").value;
  if (!label) return;
  settings.objects[label] = { min_score: 0.5, min_views: 3, zones: [] };
  changed();
};

// --- trying

let trial = null;

byId("try").onclick = () => attempt(async () => {
  byId("try").disabled = true;
  try {
    trial = await send("POST", `${api}/trials`, current());
    await watchTrial();
  } finally {
    byId("try").disabled = false;
    byId("cancel-trial").hidden = true;
    byId("progress").hidden = true;
  }
});
byId("cancel-trial").onclick = () => attempt(() => send("DELETE", `${api}/trials/${trial.id}`));

async function watchTrial() {
  byId("cancel-trial").hidden = false;
  byId("progress").hidden = false;
  byId("results").hidden = false;
  for (;;) {
    showTrial();
    if (trial.state !== "running") return;
    await new Promise((done) => { setTimeout(done, 1000); });
    trial = await send("GET", `${api}/trials/${trial.id}`);
  }
}

const minutes = (seconds) => new Intl.NumberFormat(locale, { style: "unit", unit: "minute", maximumFractionDigits: 1 }).format(seconds / 60);

function trialText() {
  const far = { tried: minutes(trial.tried_s), all: minutes(trial.footage_s) };
  if (trial.state === "running") return _("Tried {tried} of {all}, the newest first.", far);
  if (trial.state === "done") return _("Tried all of {all}.", far);
  if (trial.state === "out of time") return _("Tried the last {tried} of {all}; then the time for a trial was over.", far);
  if (trial.state === "cancelled") return _("Cancelled after {tried} of {all}.", far);
  return _("The trial failed: {error}", trial);
}

function showTrial() {
  byId("progress").value = trial.footage_s ? trial.tried_s / trial.footage_s : 0;
  byId("trial-state").textContent = trialText();
  for (const [key, events] of Object.entries({ come: trial.come, go: trial.go, stay: trial.stay.map((pair) => pair.new) })) {
    document.querySelector(`[data-count="${key}"]`).textContent = String(events.length);
    const list = document.querySelector(`[data-events="${key}"]`);
    if (list.childElementCount === events.length && events.length) continue;
    list.replaceChildren(...(events.length ? events.map(triedEntry) : [nothing(_("None."))]));
  }
}

function triedEntry(event) {
  const entry = document.createElement("li");
  const picture = document.createElement("img");
  picture.alt = "";
  picture.loading = "lazy";
  if (event.picture) picture.src = event.picture;
  const words = document.createElement("p");
  const title = document.createElement("strong");
  title.textContent = `${_(event.kind)} ${percent(event.score, 0)}`;
  const why = document.createElement("small");
  why.textContent = [event.zones.join(", "), event.why].filter(Boolean).join(" · ");
  words.append(title, " ", timeElement(event.started_at, "time"), why);
  entry.append(picture, words);
  return entry;
}

// --- saving

byId("save").onclick = () => attempt(async () => {
  const change = { settings: current(), digest: answer.digest };
  const { difference } = await send("POST", `${api}/preview`, change);
  byId("confirm").querySelector("pre").replaceChildren(...difference.split("\n").map(differenceLine));
  byId("confirm").returnValue = "";
  byId("confirm").showModal();
  await new Promise((done) => { byId("confirm").addEventListener("close", done, { once: true }); });
  if (byId("confirm").returnValue !== "save") return;
  byId("save").disabled = true;
  try {
    const saved = await send("PUT", api, change);
    notice(saved.problem ?? _("Saved; {camera} is read with the new settings.", { camera }), saved.problem !== null);
    past = [];
    await load();
  } finally {
    showAll();
  }
});

function differenceLine(line) {
  const element = document.createElement(line.startsWith("+") ? "ins" : line.startsWith("-") ? "del" : "span");
  element.textContent = line;
  return element;
}

byId("revert").onclick = () => {
  past.push(last);
  take(answer.settings);
};
addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });

// --- the picture, and how it all begins

async function showPicture() {
  const got = await fetch(`/api/cameras/${camera}/picture?width=1280`);
  const there = got.status === 200;
  byId("no-picture").hidden = there;
  if (!there) return;
  const picture = byId("picture");
  const old = picture.src;
  picture.src = URL.createObjectURL(await got.blob());
  await picture.decode();
  if (old) URL.revokeObjectURL(old);
  picture.alt = _("Picture of {camera}", { camera });
  editor.setAspect(picture.naturalWidth / picture.naturalHeight);
}

async function load() {
  answer = await send("GET", api);
  byId("hindrance").hidden = answer.hindrance === null;
  byId("hindrance").textContent = answer.hindrance === null ? "" : _("Nothing can be saved: {why}.", { why: answer.hindrance });
  byId("pending").hidden = !answer.pending;
  byId("footage").textContent = answer.footage_s > 0
    ? _("The last hour has {length} of footage. What these settings make of it is compared with what runs now; nothing is saved.", { length: minutes(answer.footage_s) })
    : _("Nothing was recorded in the last hour that settings could be tried on.");
  byId("try").disabled = answer.footage_s === 0;
  take(answer.settings);
}

byId("refresh").onclick = () => attempt(showPicture);
attempt(async () => {
  await load();
  await showPicture();
});
