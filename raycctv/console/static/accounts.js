// Accounts: made, changed, removed, given another password.
import { attempt, send } from "./app.js";
import { sure, tell } from "./dialogs.js";
import { _ } from "./messages.js";

const dialog = document.getElementById("edit");
const form = dialog.querySelector("form");
const problem = form.querySelector(".problem");
let editing = null;

function open(row) {
  editing = row?.dataset.account ?? null;
  const cameras = row ? JSON.parse(row.dataset.cameras) : [];
  dialog.querySelector("h2").textContent = row ? _("Change {name}", { name: editing }) : _("New account");
  form.elements.name.value = editing ?? "";
  form.elements.name.readOnly = Boolean(row);
  form.elements.role.value = row?.dataset.role ?? "viewer";
  form.elements.all.checked = cameras === null;
  for (const box of form.querySelectorAll("[name=camera]")) box.checked = cameras === null || cameras.includes(box.value);
  problem.hidden = true;
  adjust();
  dialog.showModal();
}

function adjust() {
  const administrator = form.elements.role.value === "administrator";
  document.getElementById("which").disabled = administrator;
  if (administrator) form.elements.all.checked = true;
  for (const box of form.querySelectorAll("[name=camera]")) box.disabled = form.elements.all.checked;
}

function rights() {
  const chosen = [...form.querySelectorAll("[name=camera]:checked")].map((box) => box.value);
  return { role: form.elements.role.value, cameras: form.elements.all.checked ? null : chosen };
}

form.addEventListener("change", adjust);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    if (editing) await send("PUT", `/api/accounts/${encodeURIComponent(editing)}`, rights());
    else {
      const name = form.elements.name.value;
      const made = await send("POST", "/api/accounts", { name, ...rights() });
      dialog.close();
      await tell(_("The password of {name}", { name }), made.password);
    }
    location.reload();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
document.getElementById("add").addEventListener("click", () => open(null));

const actions = {
  change: open,
  async password(row) {
    const name = row.dataset.account;
    if (!(await sure(_("Give {name} another password? Their sessions end.", { name })))) return;
    const made = await attempt(() => send("POST", `/api/accounts/${encodeURIComponent(name)}/password`, {}));
    if (made) await tell(_("The password of {name}", { name }), made.password);
  },
  async remove(row) {
    const name = row.dataset.account;
    if (!(await sure(_("Remove the account {name}?", { name })))) return;
    if ((await attempt(() => send("DELETE", `/api/accounts/${encodeURIComponent(name)}`))) === null) location.reload();
  },
};
document.querySelector("table").addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) actions[button.dataset.do](button.closest("tr"));
});
