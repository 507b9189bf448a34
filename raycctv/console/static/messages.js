// What the page says, in its language. `_("Saved {name}", {name: "gate"})`: English, with what stands in braces filled in.

const element = document.getElementById("messages");
const messages = element === null ? {} : JSON.parse(element.textContent);

const language = document.documentElement.lang || "en";
// How numbers and times are written: as the viewer's country does, where the browser speaks the page's language.
export const locale = navigator.languages.find((wanted) => wanted.split("-")[0] === language) ?? language;

export function _(text, values = {}) {
  return (messages[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
