// Markdown from a model as elements that can neither run nor load anything.
//
// Three walls: raw HTML is shown as the text it is; what the renderer makes goes through DOMPurify with a short list
// of tags; and the page's Content-Security-Policy refuses what both would have missed. Start at `MarkdownView`.

import { Marked } from "./vendor/marked.js";
import DOMPurify from "./vendor/purify.js";
import { button, copyText, el } from "./elements.js";

const TAGS = [
  "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote",
  "ul", "ol", "li", "a", "table", "thead", "tbody", "tr", "th", "td",
];
const CLEAN = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "title", "start", "align", "data-language"],
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
};

/** What is longer, or takes longer to read, is shown as the text it is: nesting without end must not stop the page. */
const MAX_CHARS = 200_000;
const MAX_MS = 250;

const escaped = (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escaped(text),
    // A picture would tell its server that it was looked at: it becomes a link to it.
    image: ({ href, text }) => `<a href="${escaped(href)}">Image: ${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    code: ({ text, lang }) => `<pre><code data-language="${escaped(lang?.split(/\s/)[0] ?? "")}">${escaped(text)}</code></pre>`,
  },
});

/** Draws a text that grows: only the blocks that have changed are made again. */
export class MarkdownView {
  constructor() {
    this.element = el("div", { class: "markdown" });
    this.blocks = [];
    this.isPlain = false;
  }

  show(text) {
    const began = performance.now();
    try {
      if (!this.isPlain && text.length <= MAX_CHARS) this.#draw(text);
      else this.isPlain = true;
    } catch {
      this.isPlain = true;
    }
    this.isPlain ||= performance.now() - began > MAX_MS;
    if (this.isPlain) this.element.replaceChildren(el("p", { class: "plain" }, text));
  }

  #draw(text) {
    const tokens = marked.lexer(text);
    const drawn = tokens.filter((token) => token.type !== "space");
    const same = drawn.findIndex((token, index) => token.raw !== this.blocks[index]?.raw);
    const from = same < 0 ? drawn.length : same;
    for (const { nodes } of this.blocks.splice(from)) for (const node of nodes) node.remove();
    for (const token of drawn.slice(from)) {
      const nodes = rendered(token);
      this.blocks.push({ raw: token.raw, nodes });
      this.element.append(...nodes);
    }
  }
}

function rendered(token) {
  const fragment = DOMPurify.sanitize(marked.parser([token]), CLEAN);
  for (const link of fragment.querySelectorAll("a")) {
    // What leads nowhere is no link.
    if (!link.hasAttribute("href")) link.replaceWith(...link.childNodes);
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const table of fragment.querySelectorAll("table")) {
    const box = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(box);
    box.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) codeBlock(pre);
  return [...fragment.childNodes];
}

/** A head with the language and a button to copy it, and colours. */
function codeBlock(pre) {
  const code = pre.querySelector("code");
  if (!code) return;
  const text = code.textContent;
  const language = code.dataset.language || "text";
  const copy = button("Copy", () => copyText(text, copy, code), { class: "quiet", "aria-label": `Copy the ${language} code` });
  const box = el("div", { class: "code" }, el("div", { class: "code-head" }, el("span", {}, language), copy));
  pre.tabIndex = 0;
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", `Code, ${language}`);
  pre.replaceWith(box);
  box.append(pre);
  code.replaceChildren(...coloured(text, language));
}

const HASH_COMMENTS = new Set(["python", "py", "sh", "bash", "shell", "yaml", "yml", "toml", "ruby", "rb", "r", "perl"]);
const KEYWORDS = new Set((
  "and as assert async await break case catch class const continue def del do elif else enum except export extends false " +
  "False finally fn for from func function if impl import in interface is lambda let loop match mod mut new nil None not null " +
  "or package pass pub raise return self Self static struct super switch this throw trait true True try type use var void " +
  "while with yield SELECT FROM WHERE INSERT UPDATE DELETE JOIN GROUP ORDER BY"
).split(" "));

/** Enough colour to read by, whatever the language is. Long code is left as it is. */
function coloured(text, language) {
  if (text.length > 20_000 || language === "text") return [text];
  const comment = HASH_COMMENTS.has(language) ? "#[^\\n]*" : "\\/\\/[^\\n]*|\\/\\*[^]*?(?:\\*\\/|$)";
  const string = '"(?:[^"\\\\\\n]|\\\\.)*"?|\'(?:[^\'\\\\\\n]|\\\\.)*\'|`(?:[^`\\\\]|\\\\.)*`';
  const pattern = new RegExp(`(?<comment>${comment})|(?<string>${string})|(?<number>\\b\\d[\\w.]*)|(?<word>[A-Za-z_]\\w*)`, "g");
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(pattern)) {
    const { comment: isComment, string: isString, number, word } = found.groups;
    const kind = isComment ? "comment" : isString ? "string" : number ? "number" : KEYWORDS.has(word) ? "keyword" : null;
    if (!kind) continue;
    parts.push(text.slice(end, found.index), el("span", { class: `c-${kind}` }, found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}
