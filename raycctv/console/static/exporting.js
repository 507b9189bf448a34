// The dialog that begins an export; its times are the viewer's.
import { attempt, notice, send } from "./app.js";
import { _ } from "./messages.js";

const dialog = document.getElementById("export");

export const local = (at) => {
  const moment = new Date(at);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};
export const instant = (text) => new Date(text).toISOString();

export function askForExport(camera, from, to, done = () => {}) {
  const form = dialog.querySelector("form");
  if (camera) form.camera.value = camera;
  if (from) form.from.value = local(from);
  if (to) form.to.value = local(to);
  dialog.showModal();
  form.onsubmit = async (event) => {
    if (event.submitter?.value === "cancel") return;
    event.preventDefault();
    const body = {
      camera: form.camera.value, from: instant(form.from.value), to: instant(form.to.value), exact: form.exact.checked, note: form.note.value,
    };
    const begun = await attempt(() => send("POST", "/api/exports", body));
    if (!begun) return;
    dialog.close();
    notice(_("The export has begun; you find it among the exports."));
    done(begun);
  };
}
