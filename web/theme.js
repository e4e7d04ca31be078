// Light or dark: the system's choice until somebody makes one here. Not a module, so that it comes before the first paint.

{
  const KEY = "tokenfall.theme";
  const root = document.documentElement;
  const isDark = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const current = () => root.dataset.theme ?? (isDark.matches ? "dark" : "light");
  const chosen = kept();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  addEventListener("DOMContentLoaded", () => {
    const toggle = document.getElementById("theme");
    const say = () => {
      const other = current() === "dark" ? "light" : "dark";
      toggle.setAttribute("aria-label", `Switch to the ${other} theme`);
      toggle.title = `Switch to the ${other} theme`;
    };
    toggle.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // It lasts until the page is left.
      }
      say();
    });
    isDark.addEventListener("change", say);
    say();
  });
}
