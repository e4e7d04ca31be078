// The times of one stream: a bar for each gap between tokens over the time since the request, and four figures.

import { eachFrame, svg } from "./elements.js";

const MAX_POINTS = 5000;
const HEIGHT = 112;
const EDGE = { left: 46, right: 14, top: 10, bottom: 18 };
/** The ends of the logarithmic scale in powers of ten: 1 ms and 10 s. */
const DECADES = 4;

export class Plot {
  /** `box` is where it is drawn, `figures` the elements of the four figures by name. */
  constructor(box, figures) {
    Object.assign(this, { box, figures });
    this.drawing = svg("svg", { role: "img", height: HEIGHT });
    box.append(this.drawing);
    this.draw = eachFrame(() => this.#draw());
    new ResizeObserver(this.draw).observe(box);
    this.begin();
  }

  /** Of an answer that is read on, `firstAfter` and `pieces` tell what came before. */
  begin({ firstAfter = null, pieces = 0 } = {}) {
    Object.assign(this, { points: [], marks: [], tokens: null, firstAfter, pieces });
    this.draw();
  }

  /** A piece of the answer that came `after` so many ms. */
  add(after) {
    const gap = after - (this.points.at(-1)?.after ?? 0);
    this.firstAfter ??= after;
    this.pieces += 1;
    this.points.push({ after, gap });
    if (this.points.length > MAX_POINTS) this.points.shift();
    this.draw();
  }

  /** Where a connection broke (`cut`) or was there again (`back`). */
  mark(after, kind) {
    this.marks.push({ after, kind });
    if (this.marks.length > 100) this.marks.shift();
    this.draw();
  }

  /** What the server counted. */
  count(usage) {
    this.tokens = usage?.completion_tokens ?? this.tokens;
    this.draw();
  }

  #draw() {
    const width = this.box.clientWidth;
    if (width === 0) return;
    this.drawing.setAttribute("width", width);
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const end = Math.max(this.points.at(-1)?.after ?? 0, this.marks.at(-1)?.after ?? 0, 1000);
    const x = (after) => EDGE.left + (after / end) * (width - EDGE.left - EDGE.right);
    const y = (gap) => HEIGHT - EDGE.bottom - (Math.log10(Math.min(Math.max(gap, 1.2), 10_000)) / DECADES) * (HEIGHT - EDGE.top - EDGE.bottom);
    this.drawing.replaceChildren(...grid(width, y), ...timeAxis(end, x), ...this.#data(x, y));
    this.#figures();
  }

  #data(x, y) {
    const base = HEIGHT - EDGE.bottom;
    const bar = ({ after, gap }) => `M${x(after).toFixed(1)} ${base}V${y(gap).toFixed(1)}`;
    const [first, ...others] = this.points;
    const lines = this.marks.map(({ after, kind }) =>
      svg("path", { class: `mark ${kind}`, d: `M${x(after).toFixed(1)} ${EDGE.top}V${base}` }));
    return [
      svg("path", { class: "bars", d: others.map(bar).join("") }),
      svg("path", { class: "first", d: first ? bar(first) : "" }),
      ...lines,
    ];
  }

  #figures() {
    const { first, rate, median, tail } = this.figures;
    const gaps = this.points.slice(1).map(({ gap }) => gap).sort((one, other) => one - other);
    const at = (part) => gaps[Math.min(Math.floor(gaps.length * part), gaps.length - 1)];
    const [begin, end] = [this.firstAfter, this.points.at(-1)?.after];
    const count = (this.tokens ?? this.pieces) - 1;
    first.textContent = begin === null ? "–" : millis(begin);
    rate.textContent = count > 0 && end > begin ? ((count / (end - begin)) * 1000).toFixed(end - begin > 100_000 ? 1 : 0) : "–";
    median.textContent = gaps.length ? millis(at(0.5)) : "–";
    tail.textContent = gaps.length ? millis(at(0.99)) : "–";
    const words = `First token ${first.textContent}, ${rate.textContent} tokens a second, median gap ${median.textContent}, 99th percentile ${tail.textContent}.`;
    this.drawing.setAttribute("aria-label", this.points.length ? words : "The gaps between tokens; nothing has come yet.");
  }
}

/** `17 ms`, `1.25 s`. */
export function millis(ms) {
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function grid(width, y) {
  return [[1, "1 ms"], [10, "10 ms"], [100, "100 ms"], [1000, "1 s"], [10_000, "10 s"]].flatMap(([gap, label]) => [
    svg("path", { class: "grid", d: `M${EDGE.left} ${y(gap).toFixed(1)}H${width - EDGE.right}` }),
    svg("text", { class: "scale", x: EDGE.left - 6, y: y(gap) + 3, "text-anchor": "end" }, label),
  ]);
}

function timeAxis(end, x) {
  const step = [0.25, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600].find((seconds) => end / 1000 / seconds <= 6) ?? 1800;
  const labels = [];
  for (let second = step; second * 1000 <= end; second += step) {
    labels.push(svg("text", { class: "scale", x: x(second * 1000), y: HEIGHT - 5, "text-anchor": "middle" }, `${second} s`));
  }
  return labels;
}
