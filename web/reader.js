// A second reader of a stream that the page is reading: it begins at the beginning, catches up, and reads on live.

import { Completion } from "./completion.js";
import { button, eachFrame, el } from "./elements.js";

export class SecondReader {
  /** `place` tells the completion; `bytesAt(cursor)` is what the first reader got there, if it is still known. */
  constructor(place, bytesAt, closed) {
    this.completion = new Completion(null, { id: place.id, ticket: place.ticket });
    Object.assign(this, { bytesAt, text: "", events: 0, same: 0, other: 0, state: "connecting" });
    this.status = el("p", { class: "reader-status", role: "status" });
    this.tail = el("p", { class: "reader-text" });
    const close = button("Close", () => {
      this.close();
      closed();
    }, { class: "quiet" });
    this.element = el("section", { class: "reader", "aria-label": "Second reader" },
      el("header", {}, el("h3", {}, "Second reader"), close), this.status, this.tail);
    this.draw = eachFrame(() => this.#draw());
  }

  async read() {
    for await (const step of this.completion.read()) {
      if (step.kind === "opened") this.state = "live";
      if (step.kind === "event") this.#add(step);
      if (step.kind === "broken") this.state = "coming back";
      if (step.kind === "done") this.state = "complete";
      if (step.kind === "refused" || step.kind === "lost") this.state = step.error?.message ?? step.why;
      this.draw();
    }
  }

  close() {
    this.completion.leave();
    this.element.remove();
  }

  #add({ id, data, chunk }) {
    this.events += 1;
    const known = this.bytesAt(id);
    if (known !== undefined) this[known === data ? "same" : "other"] += 1;
    const delta = chunk?.choices?.[0]?.delta;
    this.text += delta?.content ?? delta?.reasoning_content ?? delta?.reasoning ?? "";
  }

  #draw() {
    const compared = this.other > 0 ? `${this.other} differ` : this.same > 0 ? `${this.same} compared, all the same` : "";
    this.status.textContent = [`${this.events} events`, this.state, compared].filter(Boolean).join(" · ");
    this.tail.textContent = this.text.length > 240 ? `… ${this.text.slice(-240)}` : this.text;
  }
}
