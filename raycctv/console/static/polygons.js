// Polygons drawn on a picture: by mouse, by touch and by keyboard. Corners are shares of width and height, 0 to 1.
import { _ } from "./messages.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1600; // units of the drawing across the picture
const FINE = 0.005;
const COARSE = 0.05;
const NEAR_PX = 16;
const LEAST = 3;

const made = (name, attributes = {}, parent = null) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
};
const inside = (value) => Math.min(1, Math.max(0, value));
const rounded = (value) => Math.round(value * 10000) / 10000;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Draws `shapes`, [{kind, name, points}], into an <svg>. Calls `changed()` after each change, `selected(shape)` and `say(text)`.
export class PolygonEditor {
  constructor(svg, { changed, selected, say, ended }) {
    this.svg = svg;
    this.shapes = [];
    this.selected = null;
    this.drawing = null;
    this.on = { changed, selected, say, ended };
    this.setAspect(16 / 9);
    svg.addEventListener("pointerdown", (event) => this.#press(event));
    svg.addEventListener("pointermove", (event) => this.#follow(event));
    svg.addEventListener("dblclick", () => this.finish());
    svg.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  setAspect(aspect) {
    this.height = WIDTH / aspect;
    this.svg.setAttribute("viewBox", `0 0 ${WIDTH} ${this.height}`);
    this.draw();
  }

  // Begin a polygon; each press adds a corner, one on the first corner closes it.
  begin(kind, name) {
    this.select(null);
    this.drawing = { kind, name, points: [], pointer: null };
    this.on.say(_("Click or tap the corners one after the other; click the first one again to finish."));
    this.draw();
  }

  // A polygon to start from, for whoever does not point.
  add(kind, name, points = [[0.35, 0.35], [0.65, 0.35], [0.65, 0.65], [0.35, 0.65]]) {
    const shape = { kind, name, points };
    this.shapes.push(shape);
    this.select(shape);
    this.on.changed();
    return shape;
  }

  finish() {
    const drawn = this.drawing;
    if (!drawn) return;
    if (drawn.points.length < LEAST) {
      this.on.say(_("A polygon has at least three corners."));
      return;
    }
    this.drawing = null;
    this.add(drawn.kind, drawn.name, drawn.points);
    this.on.ended();
  }

  cancel() {
    if (!this.drawing) return;
    this.drawing = null;
    this.draw();
    this.on.ended();
  }

  remove(shape) {
    this.shapes.splice(this.shapes.indexOf(shape), 1);
    if (this.selected === shape) this.select(null);
    this.on.changed();
    this.draw();
  }

  select(shape) {
    this.selected = shape;
    this.on.selected(shape);
    this.draw();
  }

  focusCorner(index) {
    this.svg.querySelector(`[data-corner="${index}"]`)?.focus();
  }

  // Units of the drawing for so many pixels of the screen.
  #px(count) {
    return (count * WIDTH) / Math.max(this.svg.clientWidth, 1);
  }

  #at(event) {
    const box = this.svg.getBoundingClientRect();
    return [rounded(inside((event.clientX - box.left) / box.width)), rounded(inside((event.clientY - box.top) / box.height))];
  }

  #distancePx([x, y], [u, v]) {
    const box = this.svg.getBoundingClientRect();
    return Math.hypot((x - u) * box.width, (y - v) * box.height);
  }

  #press(event) {
    if (event.button !== 0) return;
    if (this.drawing) {
      event.preventDefault();
      const at = this.#at(event);
      const { points } = this.drawing;
      if (points.length >= LEAST && this.#distancePx(at, points[0]) < NEAR_PX) return this.finish();
      if (points.length === 0 || this.#distancePx(at, points[points.length - 1]) > 4) points.push(at);
      this.draw();
      return;
    }
    const target = event.target;
    const shape = this.shapes[Number(target.dataset.shape)];
    if (!shape) return this.select(null);
    event.preventDefault();
    if (target.dataset.middle !== undefined) {
      const index = Number(target.dataset.middle) + 1;
      shape.points.splice(index, 0, this.#at(event));
      this.#drag(event, shape, index);
    } else if (target.dataset.corner !== undefined) this.#drag(event, shape, Number(target.dataset.corner));
    else {
      this.select(shape);
      this.#drag(event, shape, null);
    }
  }

  // Move a corner, or where `index` is null all of it, until the pointer is released.
  #drag(event, shape, index) {
    const from = this.#at(event);
    const before = shape.points.map((point) => [...point]);
    this.svg.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const at = this.#at(moved);
      if (index === null) shape.points = shifted(before, at[0] - from[0], at[1] - from[1]);
      else shape.points[index] = at;
      this.draw();
    };
    const end = () => {
      this.svg.removeEventListener("pointermove", move);
      this.svg.removeEventListener("pointerup", end);
      this.svg.removeEventListener("pointercancel", end);
      if (JSON.stringify(before) !== JSON.stringify(shape.points)) this.on.changed();
      this.draw();
      if (index !== null) this.focusCorner(index);
    };
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
  }

  #follow(event) {
    if (!this.drawing) return;
    this.drawing.pointer = this.#at(event);
    this.draw();
  }

  #key(event) {
    if (event.key === "Escape" && this.drawing) return this.cancel();
    if (event.key === "Enter" && this.drawing) return this.finish();
    const { dataset } = event.target;
    const shape = this.shapes[Number(dataset.shape)];
    if (!shape) return;
    const corner = dataset.corner === undefined ? null : Number(dataset.corner);
    if (!this.#act(event, shape, corner)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  // Returns whether the key was for us.
  #act(event, shape, corner) {
    const step = STEPS[event.key];
    if (step) this.#nudge(shape, corner, step.map((part) => part * (event.shiftKey ? COARSE : FINE)));
    else if (corner === null && (event.key === "Enter" || event.key === " ")) {
      this.select(shape);
      this.focusCorner(0);
    } else if (corner !== null && (event.key === "Insert" || event.key === "+")) this.#split(shape, corner);
    else if (corner !== null && (event.key === "Delete" || event.key === "Backspace")) this.#dropCorner(shape, corner);
    else return false;
    return true;
  }

  #nudge(shape, corner, [dx, dy]) {
    if (corner === null) shape.points = shifted(shape.points, dx, dy);
    else shape.points[corner] = shifted([shape.points[corner]], dx, dy)[0];
    this.on.changed();
    this.draw();
    if (corner !== null) this.on.say(this.#cornerText(shape, corner));
  }

  #split(shape, corner) {
    const next = shape.points[(corner + 1) % shape.points.length];
    const [x, y] = shape.points[corner];
    shape.points.splice(corner + 1, 0, [rounded((x + next[0]) / 2), rounded((y + next[1]) / 2)]);
    this.on.changed();
    this.draw();
    this.focusCorner(corner + 1);
  }

  #dropCorner(shape, corner) {
    if (shape.points.length <= LEAST) {
      this.on.say(_("A polygon has at least three corners."));
      return;
    }
    shape.points.splice(corner, 1);
    this.on.changed();
    this.draw();
    this.focusCorner(Math.min(corner, shape.points.length - 1));
  }

  #cornerText(shape, index) {
    const [x, y] = shape.points[index].map((share) => Math.round(share * 1000) / 10);
    return _("Corner {index} of {count} of {name}: {x} % across, {y} % down", {
      index: index + 1, count: shape.points.length, name: shape.name, x, y,
    });
  }

  draw() {
    const focused = this.svg.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
    this.svg.querySelectorAll(".drawn").forEach((element) => element.remove());
    this.shapes.forEach((shape, index) => this.#drawShape(shape, index));
    if (this.selected) this.#drawHandles(this.selected, this.shapes.indexOf(this.selected));
    if (this.drawing) this.#drawUnfinished();
    this.svg.classList.toggle("drawing", this.drawing !== null);
    if (focused?.shape !== undefined) {
      const corner = focused.corner === undefined ? ":not([data-corner])" : `[data-corner="${focused.corner}"]`;
      this.svg.querySelector(`[data-shape="${focused.shape}"]${corner}`)?.focus();
    }
  }

  #corners(points) {
    return points.map(([x, y]) => `${x * WIDTH},${y * this.height}`).join(" ");
  }

  #drawShape(shape, index) {
    const label = shape.kind === "mask" ? _("Mask {name}", shape) : _("Zone {name}", shape);
    const state = shape === this.selected ? " selected" : "";
    made("polygon", {
      points: this.#corners(shape.points), class: `drawn shape ${shape.kind}${state}`, tabindex: 0, role: "button",
      "aria-label": label, "aria-pressed": String(shape === this.selected), "data-shape": index,
    }, this.svg);
    const [x, y] = shape.points.reduce(([u, v], [a, b]) => [u + a / shape.points.length, v + b / shape.points.length], [0, 0]);
    const text = made("text", {
      x: x * WIDTH, y: y * this.height, class: "drawn name", "font-size": this.#px(14), "stroke-width": this.#px(3), "aria-hidden": "true",
    }, this.svg);
    text.textContent = shape.name;
  }

  #drawHandles(shape, index) {
    shape.points.forEach(([x, y], corner) => {
      const [u, v] = shape.points[(corner + 1) % shape.points.length];
      made("circle", {
        cx: ((x + u) / 2) * WIDTH, cy: ((y + v) / 2) * this.height, r: this.#px(5), class: "drawn middle", "data-shape": index,
        "data-middle": corner, "stroke-width": this.#px(10), "aria-hidden": "true",
      }, this.svg);
    });
    shape.points.forEach(([x, y], corner) => {
      made("circle", {
        cx: x * WIDTH, cy: y * this.height, r: this.#px(8), class: "drawn corner", tabindex: 0, role: "button",
        "stroke-width": this.#px(12), "aria-label": this.#cornerText(shape, corner), "data-shape": index, "data-corner": corner,
      }, this.svg);
    });
  }

  #drawUnfinished() {
    const { points, pointer, kind } = this.drawing;
    const all = pointer ? [...points, pointer] : points;
    if (all.length > 1) made("polyline", { points: this.#corners(all), class: `drawn unfinished ${kind}` }, this.svg);
    points.forEach(([x, y], index) => {
      const first = index === 0 && points.length >= LEAST ? " first" : "";
      made("circle", { cx: x * WIDTH, cy: y * this.height, r: this.#px(first ? 9 : 5), class: `drawn dot${first}` }, this.svg);
    });
  }
}

// Moved together, as far as the picture goes.
function shifted(points, dx, dy) {
  const limit = (step, values) => Math.min(1 - Math.max(...values), Math.max(-Math.min(...values), step));
  const x = limit(dx, points.map((point) => point[0]));
  const y = limit(dy, points.map((point) => point[1]));
  return points.map(([u, v]) => [rounded(inside(u + x)), rounded(inside(v + y))]);
}
