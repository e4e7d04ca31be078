// What is asked of whom and how: the model, the parameters, the key, and what the mock is to do. Start at `request`.

import { el, parsed } from "./elements.js";
import { load, save } from "./store.js";

const OWN = "\0own";
const FAULTS = {
  "": "None",
  "cut@event=12": "Cut the connection",
  "reset@event=12": "Reset the connection",
  "stall@event=10,for=4s": "Stall for 4 s",
  "drip@event=6,for=2s": "Drip, byte by byte",
  "truncated@event=10": "End in mid-event",
  "malformed@event=8": "Malformed JSON",
  "duplicate@event=6": "An event twice",
  "reorder@event=6": "Events out of order",
  "error@event=10": "An error event",
  "no_finish": "No finish reason",
  "no_done": "No [DONE]",
  "content_type": "Wrong content type",
  "status=429,for=2s": "429, try again in 2 s",
  "status=503": "503, overloaded",
};
const WIRES = {
  "": "One event a write", "coalesce=5": "Five events a write", "bytes=7,gap=2ms": "Seven bytes a write", "sweep,gap=2ms": "Half events",
  "utf8,gap=2ms": "Inside characters", "event,eol=crlf": "CRLF line ends", "event,eol=cr": "CR line ends",
};
const SPEEDS = { "": "1 ×", "0.25": "¼ ×", "0.5": "½ ×", "2.0": "2 ×", "5.0": "5 ×", "100.0": "100 ×" };
const DIALECTS = { "": "OpenAI", azure: "Azure", vllm: "vLLM", "llama.cpp": "llama.cpp", ollama: "Ollama", openrouter: "OpenRouter", deepseek: "DeepSeek" };

const byId = (id) => document.getElementById(id);

export class Setup {
  /** `changed` is called whenever the request would be another. */
  constructor(changed) {
    this.form = byId("setup-form");
    this.choices = {
      model: new Choice("model", {}), fault: new Choice("fault", FAULTS), wire: new Choice("wire-plan", WIRES),
      speed: new Choice("speed", SPEEDS), dialect: new Choice("dialect", DIALECTS),
    };
    const fields = this.form.elements;
    this.fields = Object.fromEntries(["system", "temperature", "max_tokens", "seed", "usage", "extra"].map((name) => [name, fields[name]]));
    this.key = fields.key;
    this.remember = fields.remember;
    this.#restore();
    this.form.addEventListener("submit", (submit) => submit.preventDefault());
    this.form.addEventListener("input", () => {
      this.#keep();
      changed();
    });
  }

  /** The models that can be picked. */
  setModels(names) {
    const chosen = this.choices.model.value || names[0] || "tokenfall-mock";
    this.choices.model.setOptions(Object.fromEntries(names.map((name) => [name, name])));
    this.choices.model.value = chosen;
    this.#keep();
  }

  /** Shows what only the mock can do, and asks it for it from now on. */
  showMock() {
    this.isMock = true;
    for (const section of document.querySelectorAll(".mock-only")) section.hidden = false;
  }

  /** Takes over what an example request says beside its messages. */
  take({ model, messages, stream, stream_options, ...extra }) {
    if (model) this.choices.model.value = model;
    this.fields.system.value = messages.find(({ role }) => role === "system")?.content ?? "";
    this.fields.extra.value = Object.keys(extra).length > 0 ? JSON.stringify(extra, null, 2) : "";
    byId("more").open = this.fields.extra.value !== "";
    this.#keep();
  }

  /** `{ body, headers, error }` of a request with these messages. The key is not among the headers. */
  request(messages) {
    const { system, temperature, max_tokens, seed, usage, extra } = this.fields;
    const more = extra.value.trim() ? parsed(extra.value) : {};
    const isObject = more !== null && typeof more === "object" && !Array.isArray(more);
    extra.setAttribute("aria-invalid", String(!isObject));
    const number = (name, { value }) => (value === "" || Number.isNaN(Number(value)) ? {} : { [name]: Number(value) });
    const body = {
      model: this.choices.model.value || "tokenfall-mock",
      messages: [...(system.value ? [{ role: "system", content: system.value }] : []), ...messages],
      stream: true,
      ...(usage.checked && { stream_options: { include_usage: true } }),
      ...number("temperature", temperature), ...number("max_tokens", max_tokens), ...number("seed", seed),
      ...(isObject ? more : {}),
    };
    return { body, headers: this.#mockHeaders(), error: isObject ? null : "“More of the request” is not a JSON object." };
  }

  /** The headers that say who asks. */
  get credentials() {
    return this.key.value ? { authorization: `Bearer ${this.key.value}` } : {};
  }

  #mockHeaders() {
    if (!this.isMock) return {};
    const { fault, wire, speed, dialect } = this.choices;
    const headers = { "x-mock-fault": fault.value, "x-mock-wire": wire.value, "x-mock-speed": speed.value, "x-mock-dialect": dialect.value };
    return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ""));
  }

  #keep() {
    const values = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.type === "checkbox" ? field.checked : field.value]));
    const chosen = Object.fromEntries(Object.entries(this.choices).map(([name, choice]) => [name, choice.value]));
    save("setup", { values, chosen });
    // The key is a secret: it is written down only where somebody has said so.
    save("key", this.remember.checked && this.key.value ? this.key.value : null);
    byId("faults-on").hidden = !this.isMock || chosen.fault === "";
  }

  #restore() {
    const { values = {}, chosen = {} } = load("setup", {});
    for (const [name, field] of Object.entries(this.fields)) {
      if (field.type === "checkbox") field.checked = values[name] ?? true;
      else field.value = values[name] ?? "";
    }
    for (const [name, choice] of Object.entries(this.choices)) choice.value = chosen[name] ?? "";
    byId("more").open = this.fields.extra.value !== "";
    this.key.value = load("key", "");
    this.remember.checked = this.key.value !== "";
  }
}

/** A list to choose from, with a field for what is not in it. */
class Choice {
  constructor(id, options) {
    this.select = byId(id);
    this.own = byId(`${id}-own`);
    this.setOptions(options);
    this.select.addEventListener("change", () => {
      const isOwn = this.select.value === OWN;
      if (this.own) this.own.hidden = !isOwn;
      if (isOwn) this.own.focus();
    });
  }

  setOptions(options) {
    const shown = Object.entries(options).map(([value, label]) => el("option", { value }, label));
    if (this.own) shown.push(el("option", { value: OWN }, "Another …"));
    this.select.replaceChildren(...shown);
  }

  get value() {
    return this.select.value === OWN ? this.own.value.trim() : this.select.value;
  }

  set value(value) {
    const isListed = [...this.select.options].some((option) => option.value === value);
    if (!isListed) this.select.prepend(el("option", { value }, value));
    this.select.value = value;
    if (this.own) this.own.hidden = true;
  }
}
