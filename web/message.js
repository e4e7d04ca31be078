// One message of the conversation as an element. What a model said goes through `MarkdownView` or in as text.

import { endWords, isStopped } from "./answer.js";
import { button, copyText, el, parsed } from "./elements.js";
import { MarkdownView } from "./markdown.js";
import { millis } from "./plot.js";

/** What somebody asked. `edited(text)` is called with another text. */
export function question({ content }, edited) {
  const text = textOf(content);
  const words = el("div", { class: "bubble" }, text);
  const copy = button("Copy", () => copyText(text, copy, words), { class: "quiet", "aria-label": "Copy the question" });
  const edit = button("Edit", () => article.replaceChildren(editor()), { class: "quiet", "aria-label": "Edit the question" });
  const actions = el("div", { class: "actions" }, copy, edit);
  const article = el("article", { class: "message user", "aria-label": "You" }, words, actions);

  function editor() {
    const field = el("textarea", { class: "edit", rows: "3", "aria-label": "The question" });
    field.value = text;
    const back = () => {
      article.replaceChildren(words, actions);
      edit.focus();
    };
    const done = () => (field.value.trim() ? edited(field.value) : back());
    field.addEventListener("keydown", (press) => {
      if (press.key === "Enter" && !press.shiftKey && !press.isComposing) done();
      else if (press.key === "Escape") back();
      else return;
      press.preventDefault();
      press.stopPropagation();
    });
    requestAnimationFrame(() => field.focus());
    const save = button("Send", done, { class: "primary" });
    return el("div", { class: "editor" }, field, el("div", { class: "actions shown" }, button("Cancel", back), save));
  }
  return article;
}

/** An answer, which may still grow: `show` draws it as far as it has come. */
export class AnswerView {
  /** `on` is `{ retry, results }`: ask again; send the results of the tools, which stand in the answer then. */
  constructor(answer, on) {
    Object.assign(this, { answer, on, calls: [], drawn: {} });
    this.markdown = new MarkdownView();
    this.thoughtTitle = el("summary", {});
    this.thought = el("div", { class: "thought-text" });
    this.reasoning = el("details", { class: "thought", hidden: true }, this.thoughtTitle, this.thought);
    this.thoughtTitle.addEventListener("click", () => (this.isTurned = true));
    this.waiting = el("div", { class: "waiting", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
    this.tools = el("div", { class: "calls" });
    this.end = el("p", { class: "end", hidden: true });
    this.meta = el("span", { class: "meta" });
    this.copy = button("Copy", () => copyText(this.answer.content, this.copy, this.markdown.element), { class: "quiet", "aria-label": "Copy the answer" });
    const retry = button("Retry", () => on.retry(), { class: "quiet", "aria-label": "Ask again" });
    this.actions = el("div", { class: "actions" }, this.copy, retry, this.meta);
    this.element = el("article", { class: "message assistant", "aria-label": "Answer" },
      this.reasoning, this.markdown.element, this.waiting, this.tools, this.end, this.actions);
    this.show();
  }

  show() {
    const { answer, drawn } = this;
    const isRunning = answer.end === null;
    const text = answer.content || answer.refusal;
    if (drawn.text !== text) this.markdown.show((drawn.text = text));
    this.#showReasoning(isRunning);
    this.#showCalls(isRunning);
    const words = endWords(answer);
    this.end.hidden = !words;
    this.end.textContent = words ?? "";
    this.end.classList.toggle("bad", Boolean(answer.error) && !isStopped(answer));
    this.element.classList.toggle("running", isRunning);
    this.waiting.hidden = !isRunning || answer.pieces > 0;
    this.actions.hidden = isRunning;
    this.copy.hidden = !answer.content;
    this.meta.textContent = metaWords(answer);
  }

  #showReasoning(isRunning) {
    const { answer, reasoning } = this;
    if (!answer.reasoning) return;
    const isThinking = isRunning && !answer.content && answer.toolCalls.length === 0;
    reasoning.hidden = false;
    this.thought.textContent = answer.reasoning;
    const time = answer.reasoningFor === null ? "" : ` for ${millis(answer.reasoningFor)}`;
    this.thoughtTitle.textContent = isThinking ? "Thinking …" : `Thought${time}`;
    // It closes when the answer begins, unless somebody has opened or closed it.
    if (!this.isTurned) reasoning.open = isThinking;
  }

  #showCalls(isRunning) {
    const { toolCalls } = this.answer;
    while (this.calls.length < toolCalls.length) {
      const card = callCard(toolCalls[this.calls.length]);
      this.calls.push(card);
      this.tools.append(card.element);
    }
    for (const card of this.calls) card.show();
    const isOpen = !isRunning && toolCalls.length > 0 && toolCalls.some(({ result }) => !result);
    if (isOpen && !this.resultForm) this.tools.append((this.resultForm = this.#resultForm()));
  }

  /** A model that has called tools waits for what they say. */
  #resultForm() {
    const fields = this.answer.toolCalls.map((call, index) => {
      const field = el("input", { type: "text", placeholder: '{"celsius": 21}', spellcheck: "false", id: `result-${call.id || index}` });
      return { call, field, label: el("label", { for: field.id }, `Result of ${call.name || "the tool"}`) };
    });
    const form = el("form", { class: "results" }, ...fields.flatMap(({ label, field }) => [label, field]),
      el("button", { type: "submit" }, fields.length > 1 ? "Send the results" : "Send the result"));
    form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      for (const { call, field } of fields) call.result = field.value.trim() || "{}";
      form.remove();
      this.show();
      this.on.results();
    });
    return form;
  }
}

function callCard(call) {
  const name = el("code", {});
  const values = el("pre", { tabindex: "0", role: "region", "aria-label": "Arguments" });
  const result = el("pre", { class: "result", tabindex: "0", role: "region", "aria-label": "Result", hidden: true });
  const element = el("section", { class: "call", "aria-label": "Tool call" },
    el("header", {}, el("span", {}, "Tool call"), name), values, result);
  const show = () => {
    name.textContent = call.name;
    const value = parsed(call.arguments);
    values.textContent = value === undefined ? call.arguments : JSON.stringify(value, null, 2);
    result.hidden = !call.result;
    result.textContent = `→ ${call.result}`;
  };
  return { element, show };
}

function metaWords({ model, usage, pieces, firstAfter, took, resumes }) {
  const tokens = usage?.completion_tokens ?? null;
  return [
    model,
    tokens !== null ? `${tokens} tokens` : pieces > 0 && `${pieces} pieces`,
    firstAfter !== null && `first after ${millis(firstAfter)}`,
    took !== null && `${millis(took)} in all`,
    resumes > 0 && `resumed ${resumes === 1 ? "once" : `${resumes} times`}`,
  ].filter(Boolean).join(" · ");
}

/** A message's text, also where it comes in parts. */
export function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type}]`).join("\n");
}
