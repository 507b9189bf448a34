// Exports: how far they are, their files, and another one. Asks again and again only while one is under way.
import { attempt, bytes, send, timeElement } from "./app.js";
import { askForExport } from "./exporting.js";
import { _ } from "./messages.js";

const LOOK_MS = 1000;
const list = document.getElementById("exports");
const template = document.getElementById("export-row");
let timer = 0;

const STATES = { waiting: [_("waiting"), ""], running: [_("running"), "warn"], done: [_("done"), "good"], failed: [_("failed"), "bad"] };

async function look() {
  clearTimeout(timer);
  const found = await attempt(() => send("GET", "/api/exports"));
  if (found) {
    show(found);
    if (found.some((one) => one.state === "waiting" || one.state === "running")) timer = setTimeout(look, LOOK_MS);
  }
}

function show(found) {
  const known = new Map([...list.children].map((row) => [row.dataset.id, row]));
  const rows = found.map((one) => {
    const row = known.get(one.id) ?? made(one);
    update(row, one);
    return row;
  });
  if (rows.length !== list.children.length || rows.some((row, index) => row !== list.children[index])) list.replaceChildren(...rows);
  document.getElementById("none").hidden = rows.length > 0;
}

function made(one) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.id = one.id;
  row.querySelector("h2").textContent = one.camera;
  row.querySelector(".span").append(timeElement(one.from), " – ", timeElement(one.to));
  row.querySelector(".by").append(`${one.by}, `, timeElement(one.created_at));
  row.querySelector(".note").textContent = one.note;
  const link = new URLSearchParams({ camera: one.camera, at: one.from });
  row.querySelector("[data-act=play]").href = `/timeline?${link}`;
  row.querySelector("[data-act=delete]")?.addEventListener("click", async () => {
    if (!confirm(_("Delete this export and its files? The recorded footage stays."))) return;
    await attempt(() => send("DELETE", `/api/exports/${one.id}`));
    look();
  });
  return row;
}

function update(row, one) {
  if (row.dataset.state === one.state && one.state !== "running") return;
  row.dataset.state = one.state;
  const badge = row.querySelector(".badge");
  [badge.textContent, badge.className] = [STATES[one.state][0], `badge ${STATES[one.state][1]}`];
  const bar = row.querySelector("progress");
  bar.hidden = one.state !== "running" && one.state !== "waiting";
  bar.value = one.progress;
  row.querySelector(".problem").textContent = one.error ?? "";
  row.querySelector(".problem").hidden = !one.error;
  row.querySelector(".files").replaceChildren(...(one.state === "done" ? files(one) : []));
}

function files(one) {
  const items = one.files.map((file) => {
    const item = document.createElement("li");
    item.append(link(one, file.name), ` ${bytes(file.size_bytes)}, `, seconds(file.recorded_s));
    if (file.gaps.length) {
      const missing = file.gaps.reduce((sum, gap) => sum + gap.duration_s, 0);
      item.append(` · ${_("gaps: {count}, {seconds} s not recorded", { count: file.gaps.length, seconds: Math.round(missing) })}`);
    }
    if (Date.parse(one.to) - Date.parse(file.to) > 2000 && file === one.files.at(-1)) item.append(" · ", _("the footage ends"), " ", timeElement(file.to));
    const digest = document.createElement("code");
    digest.textContent = `SHA-256 ${file.sha256}`;
    item.append(document.createElement("br"), digest);
    return item;
  });
  const proof = document.createElement("li");
  proof.append(link(one, one.checksums), " · ", link(one, one.checksums.replace(/sha256$/, "json")));
  return [...items, proof];
}

const seconds = (s) => (s < 120 ? `${s.toFixed(1)} s` : `${(s / 60).toFixed(1)} min`);

function link(one, name) {
  const anchor = document.createElement("a");
  anchor.href = `/api/exports/${one.id}/files/${encodeURIComponent(name)}`;
  anchor.download = name;
  anchor.textContent = name;
  return anchor;
}

document.getElementById("new")?.addEventListener("click", () => {
  const now = Date.now() - 120_000;
  askForExport(null, now - 300_000, now, look);
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
look();
