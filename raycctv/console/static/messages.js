// What the page says, in its language. `_("Saved {name}", {name: "gate"})`: English, with what stands in braces filled in.

const element = document.getElementById("messages");
const messages = element === null ? {} : JSON.parse(element.textContent);

export const language = document.documentElement.lang || "en";

export function _(text, values = {}) {
  return (messages[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
