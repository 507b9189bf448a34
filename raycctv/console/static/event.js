// One event: its footage with what was before and after, and what people make of it.
import { attempt, notice, send } from "./app.js";
import { askForExport } from "./exporting.js";
import { _ } from "./messages.js";
import { Player } from "./player.js";

const page = document.getElementById("event");
const { id, camera } = page.dataset;
const [from, to] = [Date.parse(page.dataset.from), Date.parse(page.dataset.to)];
const video = page.querySelector("video");
const words = page.querySelector("[data-words]");
const address = `/api/events/${encodeURIComponent(id)}`;

if (video) {
  const player = new Player(video);
  player.addEventListener("state", () => {
    words.textContent = player.words;
    words.hidden = player.words === "";
  });
  player.addEventListener("time", () => {
    if (player.playing && player.now >= to) video.pause();
  });
  player.show(camera, from, true);
  page.querySelector("[data-act=again]").addEventListener("click", () => player.show(camera, from, true));
  page.querySelector("[data-act=rate]").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
}

function toggle(act, field, on, off) {
  const button = page.querySelector(`[data-act=${act}]`);
  button?.addEventListener("click", async () => {
    const value = button.getAttribute("aria-pressed") !== "true";
    const said = await attempt(() => send("POST", `${address}/${act}`, { [field]: value }));
    if (!said) return;
    button.setAttribute("aria-pressed", String(said[field]));
    notice(said[field] ? on : off);
  });
}
toggle("false-alarm", "false_alarm", _("Marked as a false alarm. It stays in the list, for tuning."), _("No false alarm any more."));
toggle("protect", "protected", _("No rule deletes this footage now."), _("The rules decide again."));
page.querySelector("[data-act=export]")?.addEventListener("click", () => askForExport(camera, from, to));
