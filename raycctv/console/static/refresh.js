// Keeps a part of the page as the server would write it now, while somebody looks.
import { show } from "./app.js";

for (const part of document.querySelectorAll("[data-refresh]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.status === 401) location.reload();
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    part.replaceChildren(...page.querySelector("[data-refresh]").childNodes);
    show(part);
  }, Number(part.dataset.refresh) * 1000);
}
