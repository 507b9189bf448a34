// Messages in the reader's language.
const messages = JSON.parse(document.getElementById("messages")?.textContent || "{}");

export function _(text, values = {}) {
  return (messages[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
