// The list of events: filters in the address, so that it can be kept and sent; more as one scrolls.
import { attempt, send, zone } from "./app.js";
import { eventRow } from "./event_row.js";
import { instant, local } from "./exporting.js";

const form = document.getElementById("filters");
const list = document.getElementById("events");
const more = document.getElementById("more");
const none = document.getElementById("none");
let following = null;
let turn = 0;

function wanted() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value === "") continue;
    query.append(name, name === "from" || name === "to" ? instant(value) : value);
  }
  return query;
}

async function load(before = null) {
  const now = ++turn;
  const query = wanted();
  if (before === null) history.replaceState(null, "", `?${query}`);
  else query.set("before", before);
  list.setAttribute("aria-busy", "true");
  const found = await attempt(() => send("GET", `/api/events?${query}`));
  if (now !== turn) return;
  list.removeAttribute("aria-busy");
  if (!found) return;
  const rows = found.events.map(eventRow);
  before === null ? list.replaceChildren(...rows) : list.append(...rows);
  following = found.next;
  more.hidden = following === null;
  none.hidden = list.children.length > 0;
}

const asked = new URLSearchParams(location.search);
for (const [name, value] of asked) {
  const field = form.elements[name];
  if (field) field.value = name === "from" || name === "to" ? local(value) : value;
}
form.addEventListener("submit", (event) => { event.preventDefault(); load(); });
form.addEventListener("change", () => load());
form.addEventListener("reset", () => setTimeout(load));
more.addEventListener("click", () => load(following));
new IntersectionObserver(([seen]) => { if (seen.isIntersecting && following !== null && !list.hasAttribute("aria-busy")) load(following); }, { rootMargin: "400px" }).observe(more);
form.title = zone;
load();
