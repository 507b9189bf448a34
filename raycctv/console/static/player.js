// Plays recorded footage by the wall clock: films of a few minutes each, one after the other, across gaps.
import { send } from "./app.js";
import { _ } from "./messages.js";

const BEFORE_MS = 20_000; // a short step back needs no new film
const FILM_MS = 10 * 60_000;
const KEYFRAMES_FROM = 8; // at so many times the speed keyframes are enough
const KEYFRAMES_FILM_MS = 60 * 60_000;
const AGAIN_MS = 5_000; // footage of the last minute is filed soon
const ERRORS_MAX = 5;

// Events: "time" (while it plays), "state" (playing, speed, camera, words to show).
export class Player extends EventTarget {
  #video;
  #film = null;
  #turn = 0; // of loading: what came for an earlier one is of no use
  #errors = 0;
  #warmed = false;
  #again = 0;
  camera = null;
  words = "";
  rate = 1;
  nextFootage = () => null; // (camera, at) => when footage begins again, or null; set by the page

  constructor(video) {
    super();
    this.#video = video;
    video.addEventListener("timeupdate", () => this.#played());
    video.addEventListener("seeked", () => this.#tell("time"));
    video.addEventListener("play", () => this.#tell("state"));
    video.addEventListener("pause", () => this.#tell("state"));
    video.addEventListener("ended", () => this.#goOn());
    video.addEventListener("error", () => this.#failed());
  }

  get playing() {
    return !this.#video.paused && this.#film !== null;
  }

  // The instant that is shown, in milliseconds; null before anything is.
  get now() {
    return this.#film?.wanted ?? (this.#film ? wall(this.#film.pieces, this.#video.currentTime) : null);
  }

  async show(camera, at, play = this.playing || this.#film === null) {
    clearTimeout(this.#again);
    const film = this.#film;
    if (film?.camera === camera && film.keyframes === this.#keyframes && within(film, at) && !this.#video.error) {
      this.#video.currentTime = mediaTime(film.pieces, at);
      if (play) await this.#play();
      return;
    }
    await this.#load(camera, at, play);
  }

  async setRate(rate) {
    const at = this.now;
    this.rate = rate;
    this.#video.playbackRate = this.#video.defaultPlaybackRate = rate;
    if (this.#film && this.#film.keyframes !== this.#keyframes) await this.#load(this.camera, at, this.playing);
    this.#tell("state");
  }

  async toggle() {
    if (this.playing) this.#video.pause();
    else if (this.#film) await this.#play();
  }

  step(ms) {
    return this.now === null ? Promise.resolve() : this.show(this.camera, this.now + ms);
  }

  get #keyframes() {
    return this.rate >= KEYFRAMES_FROM;
  }

  async #load(camera, at, play) {
    const turn = ++this.#turn;
    this.camera = camera;
    this.#warmed = false;
    this.#say("");
    let told;
    try {
      told = await send("GET", this.#address(camera, at - BEFORE_MS, at));
    } catch (error) {
      if (turn === this.#turn) this.#nothing(camera, at, play, error.message);
      return;
    }
    if (turn !== this.#turn) return;
    const pieces = told.pieces.map((piece) => ({ at_s: piece.at_s, from: Date.parse(piece.from), to: Date.parse(piece.to) }));
    if (pieces.at(-1).to <= at) return this.#nothing(camera, at, play, _("There is no footage here."));
    if (this.#video.canPlayType(`video/mp4; codecs="${told.codec}"`) === "") {
      return this.#say(_("This browser does not play what this camera sends ({codec}). Export it, or use another browser.", { codec: told.codec }));
    }
    const continues = told.continues_at ? Date.parse(told.continues_at) : null;
    this.#film = { camera, pieces, continues, keyframes: this.#keyframes, duration_s: told.duration_s, wanted: at };
    this.#video.src = told.url;
    this.#video.playbackRate = this.#video.defaultPlaybackRate = this.rate;
    this.#video.currentTime = mediaTime(pieces, at);
    this.#video.addEventListener("loadeddata", () => { if (turn === this.#turn) this.#film.wanted = undefined; }, { once: true });
    this.#tell("state");
    if (play) await this.#play();
  }

  #address(camera, from, at) {
    const to = at + (this.#keyframes ? KEYFRAMES_FILM_MS : FILM_MS);
    const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
    if (this.#keyframes) query.set("keyframes", "true");
    return `/api/cameras/${encodeURIComponent(camera)}/film?${query}`;
  }

  // There is nothing at that time: go where footage begins again, or wait for what is being recorded.
  #nothing(camera, at, play, words) {
    const next = this.nextFootage(camera, at);
    if (next !== null && next > at) return void this.#load(camera, next, play);
    this.#say(words);
    if (play && Date.now() - at < 180_000) {
      this.#say(_("No newer footage yet. It is filed within a minute or so."));
      this.#again = setTimeout(() => this.#load(camera, at, play), AGAIN_MS);
    }
  }

  #goOn() {
    const { camera, pieces, continues } = this.#film;
    this.#load(camera, continues ?? pieces.at(-1).to, true);
  }

  #played() {
    this.#errors = 0;
    this.#tell("time");
    const left_s = (this.#film?.duration_s ?? Infinity) - this.#video.currentTime;
    if (!this.#warmed && left_s < 20 * this.rate) { // the server then has the next film at hand
      this.#warmed = true;
      const next = this.#film.continues ?? this.#film.pieces.at(-1).to;
      fetch(this.#address(this.camera, next - BEFORE_MS, next)).catch(() => {});
    }
  }

  #failed() {
    if (!this.#film) return;
    const at = this.now;
    if (++this.#errors > ERRORS_MAX) return this.#say(_("This footage cannot be played."));
    const skipped = this.#video.error?.code === MediaError.MEDIA_ERR_DECODE ? 2000 * this.#errors : 0;
    this.#load(this.camera, at + skipped, true);
  }

  async #play() {
    try {
      await this.#video.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.#say(_("Press play: this browser plays nothing by itself."));
    }
  }

  #say(words) {
    this.words = words;
    this.#tell("state");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

export function wall(pieces, media_s) {
  const piece = pieces.findLast((one) => one.at_s <= media_s + 1e-3) ?? pieces[0];
  return Math.min(piece.from + (media_s - piece.at_s) * 1000, piece.to);
}

export function mediaTime(pieces, at) {
  const piece = pieces.find((one) => at < one.to) ?? pieces.at(-1);
  return piece.at_s + Math.max(0, at - piece.from) / 1000;
}

function within(film, at) {
  return at >= film.pieces[0].from && at < film.pieces.at(-1).to;
}
