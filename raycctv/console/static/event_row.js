// An event in a list.
import { percent, time, timeElement } from "./app.js";
import { _ } from "./messages.js";

const template = document.getElementById("event-row");

export function eventRow(event) {
  const item = template.content.firstElementChild.cloneNode(true);
  const address = encodeURIComponent(event.id);
  const fill = (name, text) => { item.querySelector(`.${name}`).textContent = text; };
  item.querySelector("a").href = `/events/${address}`;
  fill("kind", kindName(event.kind));
  fill("where", event.camera === "*" ? _("system") : event.camera);
  item.querySelector(".when").append(timeElement(event.started_at));
  fill("length", event.ended_at ? length(event) : _("goes on"));
  fill("score", event.category === "health" ? "" : percent(event.score, 0));
  fill("zones", event.zones.join(", "));
  fill("why", event.why);
  item.classList.toggle("false-alarm", event.false_alarm);
  item.dataset.category = event.category;
  const marks = [event.false_alarm && _("false alarm"), event.protected && _("protected")].filter(Boolean);
  item.querySelector(".marks").replaceChildren(...marks.map(badge));
  const image = item.querySelector("img");
  if (event.snapshot) image.src = `/api/events/${address}/snapshot`;
  else image.replaceWith(_("no picture"));
  image.alt = _("{kind} at {camera}, {time}", { kind: kindName(event.kind), camera: event.camera, time: time(event.started_at) });
  return item;
}

export const kindName = (kind) => _(kind.replaceAll("_", " "));

const badge = (words) => Object.assign(document.createElement("span"), { className: "badge", textContent: words });

function length(event) {
  const s = (Date.parse(event.ended_at) - Date.parse(event.started_at)) / 1000;
  return s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}
