// The conversation as it is seen, and the field to write in.

import { EndOf, el } from "./elements.js";
import { AnswerView, question } from "./message.js";

const byId = (id) => document.getElementById(id);

export class Chat {
  /** `on` is `{ send(text), stop, edit(index, text), retry(index), results(index) }`. */
  constructor(on) {
    this.on = on;
    this.thread = byId("thread");
    this.end = new EndOf(byId("thread-box"));
    this.field = byId("prompt");
    this.views = [];
    // Whatever makes the thread grow, or its box shrink, who reads its end goes on reading its end.
    const grown = new ResizeObserver(() => this.end.follow());
    grown.observe(this.thread);
    grown.observe(this.end.box);
    this.#composer();
  }

  /** Draws all messages; those that were drawn before and are the same stay. */
  show(messages) {
    const kept = this.views.findIndex(({ message }, index) => message !== messages[index]);
    const from = kept < 0 ? this.views.length : kept;
    for (const { element } of this.views.splice(from)) element.remove();
    for (const [index, message] of messages.entries()) {
      if (index < this.views.length) continue;
      this.views.push(this.#view(message, index));
      this.thread.append(this.views[index].element);
    }
    byId("welcome").hidden = messages.length > 0;
    byId("new-chat").disabled = messages.length === 0;
  }

  /** Draws an answer as far as it has come. */
  grow(answer) {
    this.views.find(({ message }) => message === answer)?.view.show();
  }

  /** The end of the conversation comes into sight. */
  toEnd() {
    this.end.isWanted = true;
    this.end.follow();
  }

  setRunning(isRunning) {
    byId("send").hidden = isRunning;
    byId("stop").hidden = !isRunning;
    this.isRunning = isRunning;
  }

  /** What those hear who do not see it, and what stands under the field. */
  say(words) {
    byId("chat-status").textContent = words;
  }

  write(text) {
    this.field.value = text;
    this.#fit();
    this.field.focus();
  }

  #view(message, index) {
    if (message.role === "user") return { message, element: question(message, (text) => this.on.edit(index, text)) };
    const view = new AnswerView(message, { retry: () => this.on.retry(index), results: () => this.on.results(index) });
    return { message, view, element: view.element };
  }

  #composer() {
    const { field, on } = this;
    const send = () => {
      const text = field.value.trim();
      if (!text || this.isRunning) return;
      field.value = "";
      this.#fit();
      on.send(text);
    };
    byId("composer").addEventListener("submit", (submit) => {
      submit.preventDefault();
      send();
    });
    byId("stop").addEventListener("click", () => {
      on.stop();
      field.focus();
    });
    field.addEventListener("input", () => this.#fit());
    field.addEventListener("keydown", (press) => {
      if (press.key !== "Enter" || press.shiftKey || press.isComposing) return;
      press.preventDefault();
      send();
    });
  }

  #fit() {
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight + 2, 220)}px`;
  }
}

/** A few questions to begin with, as buttons. `asked(example)` is told which. */
export function showExamples(examples, asked) {
  const cards = examples.map((example) =>
    el("button", { type: "button", class: "card", onclick: () => asked(example) },
      el("strong", {}, example.title), el("span", {}, example.text)));
  byId("examples").replaceChildren(...cards);
}
