// Making elements. Text goes in as text, never as markup.

/** `el("p", { class: "hint" }, "Text", child)`. Children that are null, undefined or false are left out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The same for what is drawn. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A small button with a word on it. */
export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

/** Copies `text`, and says so on the button that was pressed; `source` is an element that shows it. */
export async function copyText(text, pressed, source) {
  const label = pressed.dataset.label ?? pressed.textContent;
  pressed.dataset.label = label;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
  } catch {
    // Only secure origins have a clipboard; a selection is one key away from it.
    if (source) getSelection().selectAllChildren(source);
    pressed.textContent = source ? "Selected" : "No clipboard";
  }
  setTimeout(() => (pressed.textContent = label), 2000);
}

/** The value of a JSON text, or undefined where it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Keeps the end of a box that grows in sight, until somebody scrolls up. `isWanted` is whether the end is to be seen;
 * `follow` brings it into sight then.
 */
export class EndOf {
  constructor(box) {
    Object.assign(this, { box, isWanted: true, top: 0 });
    box.addEventListener("scroll", () => {
      const { scrollTop, clientHeight, scrollHeight } = box;
      // A box that changes its size is away from its end for a moment, but not above where it was.
      if (scrollTop + clientHeight >= scrollHeight - 30) this.isWanted = true;
      else if (scrollTop < this.top) this.isWanted = false;
      this.top = scrollTop;
    });
  }

  follow() {
    if (this.isWanted) this.box.scrollTop = this.box.scrollHeight;
  }
}

/** Calls `draw` at most once in a frame, however often what it returns is called. */
export function eachFrame(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
