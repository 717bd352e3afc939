// Colours and themes.
const probe = document.body.appendChild(make("span", { hidden: true }));
const colour = (name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
};
const draws = [];
const redraw = () => draws.forEach((draw) => draw());
const themes = ["system", "light", "dark"];
const button = find("theme");
const held = () => { try { return localStorage.getItem("mdctl-theme"); } catch { return null; } };
const setTheme = (theme) => {
  if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
  button.textContent = `Theme: ${theme}`;
  button.dataset.now = theme;
  try { localStorage.setItem("mdctl-theme", theme); } catch { /* it is not to be remembered */ }
};
setTheme(themes.includes(held()) ? held() : "system");
button.hidden = false;
button.addEventListener("click", () => {
  setTheme(themes[(themes.indexOf(button.dataset.now) + 1) % themes.length]);
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
