// A line that says where the cursor is, for eyes and for screen readers.
const readout = (usual) => {
  const line = make("output", { className: "readout" }, usual);
  line.setAttribute("aria-live", "polite");
  return { line, say: (text) => { const next = text ?? usual; if (line.textContent !== next) line.textContent = next; } };
};

// How wide the widest of these names is, and how they are cut where they are too long.
const ruler = document.createElement("canvas").getContext("2d");
const widest = (names) => {
  ruler.font = "12px system-ui, sans-serif";
  return Math.ceil(names.reduce((most, name) => Math.max(most, ruler.measureText(name).width), 0));
};
const cut = (name, most) => name.length > most ? name.slice(0, most - 1) + "\u2026" : name;

// A canvas of cells in rows and columns, with a cursor.
const cells = (label, { shape, paint, tell, moved }) => {
  const canvas = make("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const box = make("div", { className: "map", tabIndex: 0 }, canvas);
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${label}; arrow keys move through it`);
  let at = null;
  let now = null;
  const draw = () => {
    const width = box.clientWidth || box.parentElement.clientWidth;
    if (!width) return;
    now = shape(width);
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(now.height * dense);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${now.height}px`;
    const context = canvas.getContext("2d");
    context.scale(dense, dense);
    paint(context, now);
    if (at) {
      const [x, y, w, h] = now.place(at);
      context.strokeStyle = colour("ink");
      context.lineWidth = 2;
      context.strokeRect(x - 1, y - 1, w + 2, h + 2);
    }
  };
  const go = (next) => {
    at = next;
    draw();
    if (next) tell(next); else moved?.();
  };
  canvas.addEventListener("pointermove", (event) => {
    const area = canvas.getBoundingClientRect();
    const hit = now?.hit(event.clientX - area.left, event.clientY - area.top);
    if (hit && !(at && hit.row === at.row && hit.column === at.column)) go(hit);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (event.key === "Escape") { go(null); return; }
    if (!step || !now) return;
    event.preventDefault();
    const next = at ? { row: at.row + step[0], column: at.column + step[1] } : { row: 0, column: 0 };
    if (now.holds(next)) go(next);
  });
  draws.push(draw);
  return { box, go, draw };
};
