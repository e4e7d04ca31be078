// The tabs beside the events: the same request as code.

import { copyText } from "./elements.js";

const byId = (id) => document.getElementById(id);

/** Makes the tabs work, and returns what draws the code again. `shown()` gives `{ curl, python, node }`. */
export function codeTabs(shown) {
  const tabs = [...document.querySelectorAll(".wire [role=tab]")];
  const [code, copy] = [byId("code"), byId("copy-code")];
  const choose = (tab) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
    }
    byId("panel-events").hidden = tab.dataset.shows !== "events";
    byId("panel-code").hidden = tab.dataset.shows === "events";
    byId("panel-code").setAttribute("aria-labelledby", tab.id);
    draw();
  };
  const draw = () => {
    const { shows } = tabs.find((tab) => tab.getAttribute("aria-selected") === "true").dataset;
    if (shows !== "events") code.textContent = shown()[shows];
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[key];
      if (to === undefined) return;
      const next = tabs.at(to % tabs.length);
      next.focus();
      choose(next);
    });
  }
  copy.addEventListener("click", () => copyText(code.textContent, copy, code));
  return draw;
}
