// Draws everything, and draws it again when its room or its colours change.
if (facts) {
  freshness();
  coverage();
  runs();
  requests();
  bars();
  redraw();
  let width = root.clientWidth;
  addEventListener("resize", () => { if (root.clientWidth !== width) { width = root.clientWidth; redraw(); } });
  const details = [...document.querySelectorAll("details")];
  addEventListener("beforeprint", () => { details.forEach((one) => { one.dataset.was = one.open ? "1" : ""; one.open = true; }); redraw(); });
  addEventListener("afterprint", () => { details.forEach((one) => { one.open = Boolean(one.dataset.was); }); redraw(); });
  root.dataset.drawn = "yes";
}
