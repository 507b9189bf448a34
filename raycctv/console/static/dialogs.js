// Questions and secrets in dialogs of the page.

// Ask; true where the answer was yes.
export function sure(question) {
  const dialog = document.getElementById("sure");
  dialog.querySelector("h2").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

// Show what is shown once; goes on when it was read.
export function tell(title, secret) {
  const dialog = document.getElementById("secret");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".secret").textContent = secret;
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    dialog.querySelector(".secret").textContent = "";
    done();
  }, { once: true }));
}
