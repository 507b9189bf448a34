// One camera at full rate. Where its stream cannot be played, its pictures, and why.
import { time } from "./app.js";
import { _ } from "./messages.js";

const AGAIN_MS = [1000, 2000, 5000];
const BEHIND_S = 2.5; // so far behind what has come it catches up
const PICTURE_MS = 1000;

const box = document.getElementById("live");
const video = box.querySelector("video");
const image = box.querySelector("img");
const words = box.querySelector("[role=status]");
const stamp = box.querySelector(".stamp");
const address = box.dataset.live;
let failures = 0;
let timer = 0;
let pictures = 0;

function say(text) {
  words.textContent = text;
  words.hidden = text === "";
}

function play() {
  clearTimeout(timer);
  if (document.hidden) return;
  video.src = `${address}?at=${Date.now()}`;
  video.play().catch(() => {});
}

function stop() {
  clearTimeout(timer);
  video.removeAttribute("src");
  video.load();
}

async function failed() {
  if (document.hidden || !video.hasAttribute("src")) return;
  stop();
  showPictures();
  const reason = await whyNot();
  if (reason.fatal) return say(reason.words);
  say(reason.words);
  timer = setTimeout(play, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
}

// What the server says of the stream, which a video element does not tell.
async function whyNot() {
  const ending = new AbortController();
  try {
    const answer = await fetch(address, { signal: ending.signal });
    if (answer.status === 401) location.reload();
    if (!answer.ok) {
      const { detail } = await answer.json();
      return { words: answer.status === 503 ? _("The camera shows nothing now. Trying again ...") : detail, fatal: answer.status !== 503 };
    }
    const type = answer.headers.get("Content-Type");
    if (video.canPlayType(type) === "") {
      return { words: _("This browser does not play what this camera sends ({type}). You see its pictures.", { type }), fatal: true };
    }
    return failures < 3
      ? { words: _("The stream broke off. Trying again ..."), fatal: false }
      : { words: _("This browser does not play streams without an end (Safari does not). You see the camera's pictures."), fatal: true };
  } catch {
    return { words: _("The console does not answer."), fatal: false };
  } finally {
    ending.abort();
  }
}

async function showPictures() {
  clearTimeout(pictures);
  image.hidden = false;
  const began = performance.now();
  const answer = document.hidden ? null : await fetch(`${image.dataset.picture}?width=1280`).catch(() => null);
  if (answer?.status === 200) {
    const before = image.src;
    image.src = URL.createObjectURL(await answer.blob());
    if (before) URL.revokeObjectURL(before);
    stamp.textContent = time(answer.headers.get("X-Captured-At"), "time");
  } else if (answer?.status === 204) say(_("The camera shows nothing now. Trying again ..."));
  if (!image.hidden) pictures = setTimeout(showPictures, Math.max(200, PICTURE_MS - (performance.now() - began)));
}

video.addEventListener("playing", () => {
  failures = 0;
  say("");
  image.hidden = true;
  clearTimeout(pictures);
  stamp.textContent = "";
});
video.addEventListener("error", failed);
video.addEventListener("ended", failed);
video.addEventListener("timeupdate", () => {
  const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
  const behind = end - video.currentTime;
  if (behind > 3 * BEHIND_S) video.currentTime = end - 1;
  video.playbackRate = behind > BEHIND_S ? 1.15 : 1;
});
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : play()));
addEventListener("pagehide", stop);

showPictures(); // until the stream has come
play();

box.querySelector("[data-act=sound]")?.addEventListener("click", (event) => {
  video.muted = !video.muted;
  event.currentTarget.setAttribute("aria-pressed", String(!video.muted));
});
box.querySelector("[data-act=fullscreen]")?.addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else (box.requestFullscreen ?? video.webkitEnterFullscreen)?.call(box.requestFullscreen ? box : video);
});
