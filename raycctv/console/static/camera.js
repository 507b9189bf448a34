// Beside the live video: how the camera is, and its last events, as they come.
import { follow, send } from "./app.js";
import { eventRow } from "./event_row.js";
import { _ } from "./messages.js";

const EVENTS = 8;
const list = document.getElementById("events");
const badge = document.getElementById("state");
let last = null;

async function showEvents() {
  const query = new URLSearchParams({ camera: list.dataset.camera, limit: EVENTS });
  const found = await send("GET", `/api/events?${query}`).catch(() => null);
  if (!found) return;
  list.replaceChildren(...found.events.map(eventRow));
  document.getElementById("none").hidden = found.events.length > 0;
}

follow({
  cameras: (states) => {
    const state = states.find((one) => one.camera === list.dataset.camera);
    if (!state) return;
    badge.textContent = state.problems.length ? state.problems.map((problem) => _(problem)).join(" · ") : _("live");
    badge.className = `badge ${state.problems.length ? "bad" : "good"}`;
    const newest = `${state.last_event?.id} ${state.last_event?.ended_at}`;
    if (newest !== last) showEvents();
    last = newest;
  },
});
