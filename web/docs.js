// The API documentation: draws the server's own OpenAPI document, and lets its streams be tried.
//
// Whatever comes from the document or from a model goes into the page as text, never as markup.
// Start at `main`; then operations and streams.

import { el } from "./elements.js";
import { follow, inline, memberItem, members, prose, typeName, use, view } from "./schema.js";
import { ROOT, tryIt } from "./try.js";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
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
    use(spec);
  } catch (error) {
    content.replaceChildren(el("p", { role: "alert" }, `The document could not be read: ${error.message}.`));
    return;
  }
  const groups = operationsByTag();
  renderHead();
  document.getElementById("nav").append(...groups.map(navGroup));
  content.replaceChildren(...groups.map(tagSection));
  document.querySelector(".page nav details").open = !PHONE.matches;
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

/** A copy of one of the page's templates, or null where there is none of that name. */
export function template(id) {
  return document.getElementById(id)?.content.cloneNode(true) ?? null;
}
