// Schemas of the document as nested lists. What comes from it goes into the page as text, never as markup.

import { el } from "./elements.js";

/** The document; `use` is called once, before anything is drawn. */
let spec;

export function use(document) {
  spec = document;
}

/** What a `$ref` of any kind points to. */
export function follow(object) {
  if (!object.$ref) return object;
  const keys = object.$ref.replace(/^#\//, "").split("/");
  return keys.reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], spec) ?? {};
}

/**
 * A schema ready to be shown: references followed, `allOf` merged, null set apart, and an only option in place of its
 * union. `above` lists the references that are open around it; one of those is not opened again (`isRepeat`).
 */
export function view(raw, above = []) {
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

export function typeName(raw, above) {
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
export function members(raw, outer) {
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

export function memberItem(name, raw, isRequired, above = []) {
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

/** Paragraphs, and `code` in them. Nothing else of Markdown is read. */
export function prose(text) {
  return (text ?? "").split(/\n{2,}/).filter(Boolean).map((paragraph) => el("p", {}, ...inline(paragraph)));
}

export function inline(text) {
  return (text ?? "").split("`").map((part, index) => (index % 2 ? el("code", {}, part) : part));
}
