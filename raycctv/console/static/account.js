// One's own password and tokens.
import { attempt, notice, send } from "./app.js";
import { sure, tell } from "./dialogs.js";
import { _ } from "./messages.js";

const password = document.getElementById("password");
password.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = password.querySelector(".problem");
  problem.hidden = true;
  try {
    await send("POST", "/api/me/password", { old: password.elements.old.value, new: password.elements.new.value });
    location.reload(); // a new session has a new token
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});

const token = document.getElementById("token");
token.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, role, days } = Object.fromEntries(new FormData(token));
  const made = await attempt(() => send("POST", "/api/tokens", { name, role, days: days ? Number(days) : null }));
  if (!made) return;
  await tell(_("The token {name}", { name }), made.secret);
  location.reload();
});

for (const button of document.querySelectorAll("[data-remove]")) {
  button.addEventListener("click", async () => {
    const row = button.closest("tr");
    if (!(await sure(_("Remove this token? What uses it is refused from then on.")))) return;
    if ((await attempt(() => send("DELETE", `/api/tokens/${row.dataset.token}`))) === null) {
      row.remove();
      notice(_("Removed"));
    }
  });
}
