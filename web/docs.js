// The API documentation: draws the server's own OpenAPI document, and lets its streams be tried.
//
// Whatever comes from the document or from a model goes into the page as text, never as markup.
// Start at `main`; then operations, schemas, streams, "Try it", and the SSE parser.

/** Where the server's paths begin, also behind a proxy that puts a prefix before them. */
const ROOT = new URL(".", location.href).href.replace(/\/$/, "");
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
const MAX_LINE_CHARS = 4 * 1024 * 1024;
const MAX_EVENTS_SHOWN = 500;
const PHONE = matchMedia("(max-width: 52rem)");

/** The document, read once by `main`. */
let spec;

main();

async function main() {
  const content = document.getElementById("content");
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`status ${response.status}`);
    spec = await response.json();
  } catch (error) {
    content.replaceChildren(el("p", { role: "alert" }, `The document could not be read: ${error.message}.`));
    return;
  }
  const groups = operationsByTag();
  renderHead();
  document.getElementById("nav").append(...groups.map(navGroup));
  content.replaceChildren(...groups.map(tagSection));
  document.querySelector("nav details").open = !PHONE.matches;
  // The browser looked for the fragment before there was anything to find.
  if (location.hash) location.replace(location.hash);
}

// ---- The page ----

function renderHead() {
  const { title, version, description } = spec.info;
  document.title = `${title} API`;
  document.getElementById("title").textContent = title;
  document.getElementById("version").textContent = version;
  document.getElementById("about").append(...prose(description));
  document.getElementById("base").textContent = `${ROOT}/v1`;
  const schemes = Object.values(spec.components?.securitySchemes ?? {});
  document.getElementById("auth").hidden = !schemes.some(({ scheme }) => scheme === "bearer");
}

/** The document's operations as `[{ name, description, operations }]`, in the order of its tags. */
function operationsByTag() {
  const groups = new Map((spec.tags ?? []).map((tag) => [tag.name, { ...tag, operations: [] }]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => name in item)) {
      const operation = item[method];
      const name = operation.tags?.[0] ?? "Other";
      if (!groups.has(name)) groups.set(name, { name, operations: [] });
      const id = operation.operationId ?? `${method}${path}`.replace(/\W+/g, "-");
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(follow);
      groups.get(name).operations.push({ ...operation, id, method, path, parameters });
    }
  }
  return [...groups.values()].filter((group) => group.operations.length > 0);
}

function navGroup({ name, operations }) {
  const links = operations.map(({ id, method, path }) =>
    el("li", {}, el("a", { href: `#op-${id}` }, methodBadge(method), path)));
  return el("section", {}, el("h2", {}, name), el("ul", {}, ...links));
}

function tagSection({ name, description, operations }) {
  return el("section", {}, el("h2", {}, name), ...prose(description), ...operations.map(operationArticle));
}

function operationArticle(operation) {
  const { id, method, path, summary, description, parameters, requestBody, responses } = operation;
  const heading = `op-${id}-heading`;
  const article = el("article", { id: `op-${id}`, "aria-labelledby": heading },
    el("h3", { id: heading }, methodBadge(method), el("a", { href: `#op-${id}` }, path)),
    el("p", { class: "summary" }, ...inline(summary)),
    ...prose(description));
  if (parameters.length > 0) article.append(el("h4", {}, "Parameters"), namedList(parameters));
  const body = requestBody && follow(requestBody);
  if (body) article.append(el("h4", {}, "Request body"), ...prose(body.description), ...contents(body.content));
  article.append(el("h4", {}, "Responses"), ...Object.entries(responses).map(responseBlock));
  const media = Object.values(responses).flatMap((response) => Object.values(follow(response).content ?? {}));
  for (const { itemSchema } of media) if (itemSchema) article.append(...eventsSection(itemSchema, id));
  const form = template(`try-${id}`);
  if (form) article.append(el("h4", {}, "Try it"), form);
  if (form) tryIt(article.querySelector("form"), operation);
  return article;
}

function methodBadge(method) {
  return el("span", { class: `method ${method}` }, method.toUpperCase());
}

/** Parameters or headers. Their descriptions, and the places of parameters, are shown as if their schemas had them. */
function namedList(parameters) {
  return el("ul", { class: "members" }, ...parameters.map(({ name, schema, description, required, in: place }) =>
    memberItem(name, { ...schema, ...(description && { description }), ...(place && { in: place }) }, required)));
}

function responseBlock([status, reference], index) {
  const { description, headers, content } = follow(reference);
  const head = [el("span", { class: `code s${status[0]}` }, status), el("span", {}, ...inline(description))];
  if (!headers && !content) return el("div", { class: "response" }, ...head);
  const block = el("details", { class: "response" }, el("summary", {}, ...head), ...contents(content ?? {}));
  if (headers) {
    const named = Object.entries(headers).map(([name, header]) => ({ ...follow(header), name }));
    block.append(el("p", { class: "media" }, "Headers"), namedList(named));
  }
  block.open = index === 0;
  return block;
}

/** What a body can be: for each media type its schema, or where its events are described. */
function contents(content) {
  return Object.entries(content).flatMap(([type, { schema, itemSchema }]) => {
    const what = itemSchema ? " events, described below" : el("span", { class: "type" }, ` ${typeName(schema)}`);
    const inside = itemSchema ? [] : [...prose(view(schema).schema.description), members(schema)].filter(Boolean);
    return [el("p", { class: "media" }, el("code", {}, type), what), ...inside];
  });
}

// ---- Schemas ----

/** What a `$ref` of any kind points to. */
function follow(object) {
  if (!object.$ref) return object;
  const keys = object.$ref.replace(/^#\//, "").split("/");
  return keys.reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], spec) ?? {};
}

/**
 * A schema ready to be shown: references followed, `allOf` merged, null set apart, and an only option in place of its
 * union. `above` lists the references that are open around it; one of those is not opened again (`isRepeat`).
 */
function view(raw, above = []) {
  let schema = typeof raw === "object" ? raw : {};
  let [name, isRepeat] = [schema.title, false];
  while (schema.$ref && !isRepeat) {
    const { $ref, ...own } = schema;
    name ??= $ref.split("/").at(-1);
    isRepeat = above.includes($ref);
    above = [...above, $ref];
    schema = isRepeat ? own : { ...follow({ $ref }), ...own };
  }
  for (const part of schema.allOf ?? []) {
    const { schema: base } = view(part, above);
    const required = [...(base.required ?? []), ...(schema.required ?? [])];
    schema = { ...base, ...schema, required, properties: { ...base.properties, ...schema.properties } };
  }
  const all = schema.oneOf ?? schema.anyOf ?? [];
  const options = all.filter((option) => option.type !== "null");
  const isNullable = options.length < all.length || [schema.type].flat().includes("null");
  if (options.length !== 1) return { schema, name, isRepeat, isNullable, options, above };
  const only = view(options[0], above);
  const description = schema.description ?? only.schema.description;
  return { ...only, schema: { ...only.schema, description }, isNullable: isNullable || only.isNullable };
}

function typeName(raw, above) {
  const seen = view(raw, above);
  return baseName(seen) + (seen.isNullable ? " or null" : "");
}

function baseName({ schema, name, isRepeat, options, above }) {
  if (isRepeat) return `${name} as above`;
  const inner = (raw) => typeName(raw, above).replace(/^.* or .*$/, "($&)");
  if (options.length > 0) return options.map((option) => typeName(option, above)).join(" or ");
  if (schema.items) return `array of ${inner(schema.items)}`;
  if (schema.properties) return name ?? "object";
  if (typeof schema.additionalProperties === "object") return `map to ${inner(schema.additionalProperties)}`;
  const types = [schema.type].flat().filter((type) => type && type !== "null");
  return types.join(" or ") || name || ("const" in schema ? typeof schema.const : "any");
}

/** What is inside a schema: its properties, or those of its items or options. Null where there is nothing to list. */
function members(raw, outer) {
  const { schema, isRepeat, options, above } = view(raw, outer);
  if (isRepeat) return null;
  const items = schema.items ?? schema.additionalProperties;
  if (options.length === 0 && !schema.properties) return typeof items === "object" ? members(items, above) : null;
  const rows = options.length > 0
    ? options.map((option) => memberItem(null, option, false, above))
    : Object.entries(schema.properties).map(([name, property]) =>
        memberItem(name, property, schema.required?.includes(name), above));
  // A wrapper around one thing is not worth a click.
  if (rows.length === 1) rows[0].querySelector("details")?.setAttribute("open", "");
  return el("ul", { class: "members" }, ...rows);
}

function memberItem(name, raw, isRequired, above = []) {
  const seen = view(raw, above);
  const inner = members(raw, above);
  const ofItems = seen.schema.items ? constraints(view(seen.schema.items).schema) : [];
  const notes = [...constraints(seen.schema), ...ofItems.map((note) => `each ${note}`)];
  const whole = seen.schema.items ? "each item" : seen.name ?? name ?? "it";
  const title = seen.options.length > 0 ? "Options" : `Inside ${whole}`;
  return el("li", {},
    el("p", { class: "member" },
      name && el("code", { class: "name" }, name),
      el("span", { class: "type" }, typeName(raw, above)),
      isRequired && el("span", { class: "required" }, "required"),
      ...notes.map((note) => el("span", { class: "note" }, note))),
    ...prose(seen.schema.description),
    inner && el("details", {}, el("summary", {}, title), inner));
}

const json = (value) => JSON.stringify(value);

/** What is said of a schema beside its type. `in` is a parameter's place. */
const CONSTRAINTS = {
  in: (value) => `in ${value}`,
  format: (value) => value,
  const: (value) => `always ${json(value)}`,
  enum: (values) => `one of ${values.map(json).join(", ")}`,
  minimum: (value) => `≥ ${value}`,
  exclusiveMinimum: (value) => `> ${value}`,
  maximum: (value) => `≤ ${value}`,
  exclusiveMaximum: (value) => `< ${value}`,
  multipleOf: (value) => `multiple of ${value}`,
  minLength: (value) => `length ≥ ${value}`,
  maxLength: (value) => `length ≤ ${value}`,
  minItems: (value) => `items ≥ ${value}`,
  maxItems: (value) => `items ≤ ${value}`,
  pattern: (value) => `matches ${value}`,
  default: (value) => `default ${json(value)}`,
  example: (value) => `such as ${json(value)}`,
};

function constraints(schema) {
  return Object.entries(CONSTRAINTS).flatMap(([key, say]) => (key in schema ? [say(schema[key])] : []));
}

// ---- Streams ----

/** The kinds of event that an `itemSchema` allows: each a sentinel (`const`) or text that decodes to a schema. */
function eventKinds(itemSchema) {
  const options = (raw) => (view(raw).options.length > 0 ? view(raw).options : [raw]);
  const kinds = options(itemSchema).flatMap((event) => {
    const { data = {}, event: type = {} } = view(event).schema.properties ?? {};
    return options(data).flatMap((text) => {
      const { contentSchema, ...plain } = view(text).schema;
      const decoded = contentSchema ? options(contentSchema) : [plain];
      const known = { type: view(type).schema.const, sentinel: plain.const, isJson: Boolean(contentSchema) };
      return decoded.map((schema) => ({ ...known, schema }));
    });
  });
  // A sentinel ends the stream, so it ends the list too, wherever the document has it.
  return kinds.sort((one, other) => (one.sentinel !== undefined) - (other.sentinel !== undefined));
}

function eventsSection(itemSchema, operationId) {
  const wire = template(`wire-${operationId}`);
  return [
    el("h4", {}, "Events of the stream"),
    ...prose(view(itemSchema).schema.description),
    el("div", { class: "kinds" }, ...eventKinds(itemSchema).map(eventKind)),
    ...(wire ? [el("h4", {}, "On the wire"), el("div", { class: "picture" }, wire)] : []),
  ];
}

function eventKind({ type, schema, sentinel, isJson }, index) {
  const name = typeName(schema);
  const line = `${type ? `event: ${type}\n` : ""}data: ${sentinel ?? (isJson ? `{ ${name} as JSON }` : name)}`;
  const inner = sentinel === undefined ? members(schema) : null;
  const block = el("section", { class: sentinel === undefined ? "kind" : "kind done" },
    el("pre", {}, line),
    ...prose(view(schema).schema.description),
    inner && el("details", {}, el("summary", {}, `Inside ${name}`), inner));
  // The first kind is what a reader comes for, so it is shown to its last member.
  if (index === 0) for (const details of block.querySelectorAll("details")) details.open = true;
  return block;
}

// ---- Try it ----

function tryIt(form, { method, path }) {
  const { body, key, stop, copy } = form.elements;
  const part = (selector) => form.querySelector(selector);
  const [send, status, curl] = [part("[type=submit]"), part(".status"), part(".curl pre")];
  let abort = null;

  const showCurl = () => (curl.textContent = curlLine(method, path, body.value, key.value !== ""));
  form.addEventListener("input", showCurl);
  showCurl();
  copy.addEventListener("click", () => copyText(curl, copy));
  stop.addEventListener("click", () => abort?.abort());
  body.addEventListener("keydown", (press) => {
    if (press.key === "Enter" && (press.ctrlKey || press.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    if (abort) return;
    abort = new AbortController();
    [send.disabled, stop.disabled] = [true, false];
    for (const selector of [".answer", ".events", ".reply"]) part(selector).hidden = true;
    status.textContent = "Waiting for the first byte …";
    try {
      const headers = { "content-type": "application/json", ...(key.value && { authorization: `Bearer ${key.value}` }) };
      const request = { method: method.toUpperCase(), headers, body: body.value, signal: abort.signal };
      status.textContent = await showReply(await fetch(ROOT + path, request), part, status);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "Stopped." : `Failed: ${error.message}.`;
    } finally {
      // Nothing is left to stop after a reply, but after a failure the connection may still be open.
      abort.abort();
      abort = null;
      [send.disabled, stop.disabled] = [false, true];
    }
  });
}

/** Shows a reply as it comes, and returns a sentence on how it went. Its content type tells a stream. */
async function showReply(response, part, status) {
  const head = `${response.status} ${response.statusText}`.trim();
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
    status.textContent = `${head}, streaming …`;
    return `${head}: ${await showStream(response.body, part)}`;
  }
  part(".reply").hidden = false;
  part(".reply pre").textContent = indented(await response.text());
  return `${head}, not a stream.`;
}

async function showStream(body, part) {
  const [list, text] = [part(".log"), part(".text")];
  list.replaceChildren();
  text.replaceChildren();
  part(".answer").hidden = part(".events").hidden = false;
  const started = performance.now();
  const choices = new Map();
  let [last, count, isDone, failure] = [started, 0, false, null];
  for await (const event of readEvents(body)) {
    const now = performance.now();
    const chunk = parsed(event.data);
    list.append(eventRow(event, now - last, chunk));
    if (list.children.length > MAX_EVENTS_SHOWN) list.firstChild.remove();
    for (const { index, delta } of chunk?.choices ?? []) {
      choiceText(text, choices, index).appendData(delta?.content ?? delta?.refusal ?? "");
    }
    failure ??= chunk?.error?.message;
    if (event.data !== undefined) count += 1;
    [last, isDone] = [now, isDone || event.data === "[DONE]"];
  }
  const end = !isDone ? "cut, as there was no [DONE]" : failure ? `failed: ${failure}` : "complete";
  const shown = count > MAX_EVENTS_SHOWN ? ` (the last ${MAX_EVENTS_SHOWN} are shown)` : "";
  return `${count} event${count === 1 ? "" : "s"}${shown} in ${Math.round(last - started)} ms, ${end}.`;
}

function eventRow({ type, id, data, comment }, gap, chunk) {
  const kind = comment !== undefined ? "aside" : data === "[DONE]" ? "done" : chunk?.error ? "error" : "chunk";
  const before = [comment !== undefined && `:${comment}`, type && `event: ${type}\n`, id && `id: ${id}\n`];
  // What every chunk repeats comes before its choices, and is folded away unless asked for.
  const [, repeated, rest] = /^({.*?)("choices":.*)$/s.exec(data) ?? [null, null, data];
  return el("li", { class: kind },
    el("span", { class: "gap" }, `+${Math.round(gap)} ms`),
    el("code", {}, ...before, repeated && el("span", { class: "repeated" }, repeated), rest));
}

/** The text node that a choice's deltas are added to; made when the choice first shows up. */
function choiceText(parent, choices, index) {
  if (!choices.has(index)) {
    choices.set(index, document.createTextNode(""));
    parent.append(el("p", { "data-choice": index }, choices.get(index)));
  }
  return choices.get(index);
}

function curlLine(method, path, body, hasKey) {
  // White space between tokens goes, numbers stay as typed: parsing would round the large ones.
  const compact = parsed(body) === undefined ? body : body.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, text) => text ?? "");
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = hasKey ? ' -H "authorization: Bearer $API_KEY"' : "";
  const url = `-X ${method.toUpperCase()} ${quoted(ROOT + path)}`;
  return `curl -N ${url} -H 'content-type: application/json'${key} --data-raw ${quoted(compact)}`;
}

async function copyText(source, button) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    // Only secure origins have a clipboard; a selection is one key away from it.
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const indented = (text) => (parsed(text) === undefined ? text : JSON.stringify(parsed(text), null, 2));

// ---- Server-sent events ----

/** The events of a body, `{ data, type, id }`, and its comments, `{ comment }`. Unfinished at its end is none. */
async function* readEvents(body) {
  let [data, type, id] = [[], "", ""];
  for await (const line of readLines(body.getReader())) {
    const [, field, value] = /^([^:]*)(?:: ?)?([^]*)$/.exec(line);
    if (line === "") {
      if (data.length > 0) yield { data: data.join("\n"), type, id };
      [data, type, id] = [[], "", ""];
    } else if (field === "") yield { comment: line.slice(1) };
    else if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
  }
}

/** The finished lines of a body. They end at CRLF, LF or CR, and bytes may be split anywhere. */
async function* readLines(reader) {
  const decoder = new TextDecoder();
  let [rest, endedInCr] = ["", false];
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    let text = decoder.decode(read.value, { stream: true });
    if (text === "") continue;
    // The LF of a CRLF whose CR came with an earlier read ends no second line.
    if (endedInCr && text[0] === "\n") text = text.slice(1);
    endedInCr = text.endsWith("\r");
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    if (rest.length > MAX_LINE_CHARS) throw new Error("an event is too large to show");
    yield* lines;
  }
}

// ---- Making elements ----

/** A copy of one of the page's templates, or null where there is none of that name. */
function template(id) {
  return document.getElementById(id)?.content.cloneNode(true) ?? null;
}

/** Paragraphs, and `code` in them. Nothing else of Markdown is read. */
function prose(text) {
  return (text ?? "").split(/\n{2,}/).filter(Boolean).map((paragraph) => el("p", {}, ...inline(paragraph)));
}

function inline(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
