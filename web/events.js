// A long list of rows of which only those in sight are in the page. It knows nothing of what the rows say.

import { EndOf, eachFrame, el } from "./elements.js";

const ROW_PX = 26;
const MARGIN_ROWS = 8;

export class RowList {
  /** `fill(row)` gives a row's elements; `chosen(row)` is told which one is looked at, null if none. */
  constructor(box, { limit, fill, chosen }) {
    Object.assign(this, { box, limit, fill, chosen, rows: [], dropped: 0, at: -1, end: new EndOf(box) });
    this.space = el("div", { class: "rows-space" });
    box.append(this.space);
    this.draw = eachFrame(() => this.#draw());
    box.addEventListener("scroll", this.draw);
    box.addEventListener("keydown", (press) => this.#key(press));
    box.addEventListener("click", (click) => {
      const row = click.target.closest("[data-row]");
      if (row) this.choose(Number(row.dataset.row) - this.dropped);
    });
    new ResizeObserver(this.draw).observe(box);
  }

  /** Adds a row at the end; beyond the limit the first one goes. */
  add(row) {
    this.rows.push(row);
    if (this.rows.length > this.limit) {
      this.rows.shift();
      this.dropped += 1;
      if (this.at >= 0) this.at = Math.max(this.at - 1, 0);
    }
    this.draw();
  }

  clear() {
    Object.assign(this, { rows: [], dropped: 0 });
    this.end.isWanted = true;
    this.choose(-1);
  }

  choose(at) {
    this.at = Math.min(at, this.rows.length - 1);
    this.chosen(this.rows[this.at] ?? null);
    if (this.at >= 0) this.#bringIntoSight();
    this.draw();
  }

  #bringIntoSight() {
    const { box } = this;
    this.#stretch();
    const top = this.at * ROW_PX;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW_PX > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_PX - box.clientHeight;
  }

  #key(press) {
    const page = Math.max(Math.floor(this.box.clientHeight / ROW_PX) - 1, 1);
    const last = this.rows.length - 1;
    const from = this.at < 0 ? last : this.at;
    const to = {
      ArrowDown: this.at + 1, ArrowUp: from - 1, PageDown: from + page, PageUp: from - page, Home: 0, End: last,
    }[press.key];
    if (press.key === "Escape" && this.at >= 0) this.choose(-1);
    else if (to === undefined || last < 0) return;
    else this.choose(Math.min(Math.max(to, 0), last));
    press.preventDefault();
    press.stopPropagation();
  }

  #draw() {
    const { box, rows, space } = this;
    this.#stretch();
    if (this.at < 0) this.end.follow();
    const first = Math.max(Math.floor(box.scrollTop / ROW_PX) - MARGIN_ROWS, 0);
    const count = Math.ceil(box.clientHeight / ROW_PX) + 2 * MARGIN_ROWS;
    const shown = rows.slice(first, first + count).map((row, index) => this.#row(row, first + index));
    space.replaceChildren(...shown);
    const chosen = this.at >= first && this.at < first + count ? `row-${this.at + this.dropped}` : null;
    if (chosen) box.setAttribute("aria-activedescendant", chosen);
    else box.removeAttribute("aria-activedescendant");
  }

  #stretch() {
    this.space.style.height = `${this.rows.length * ROW_PX}px`;
  }

  #row(row, index) {
    const number = index + this.dropped;
    const element = el("div", {
      class: `row k-${row.kind}`, role: "option", id: `row-${number}`, "data-row": number,
      "aria-selected": String(index === this.at), "aria-setsize": this.rows.length, "aria-posinset": index + 1,
    }, ...this.fill(row));
    element.style.top = `${index * ROW_PX}px`;
    return element;
  }
}
