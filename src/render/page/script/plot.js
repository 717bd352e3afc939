// uPlot with our colours, a cursor for the keyboard, and a line that speaks.
const plot = (home, label, { options, data, tell, height, usual, line: given, quietly, wide }) => {
  const box = make("div", { className: "plot", tabIndex: quietly ? -1 : 0 });
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${label}; arrow keys move the cursor`);
  const { line, say } = given ?? readout(usual);
  home.append(box);
  if (!given) home.append(line);
  let chart = null;
  const draw = () => {
    const width = box.clientWidth;
    if (!width) return;
    const index = chart?.cursor.idx;
    chart?.destroy();
    const settings = options(width);
    chart = new uPlot({
      width, height: height(width), padding: [10, wide ?? 14, 0, 0], legend: { show: false },
      ...settings,
      cursor: { points: { show: false }, y: false, drag: { x: false, y: false }, ...settings.cursor },
      hooks: { ...settings.hooks, setCursor: [(one) => { const at = one.cursor.idx; if (at !== null && at !== undefined) say(tell(at)); }] },
    }, data(), box);
    if (index !== null && index !== undefined && index >= 0) move(index);
    box.querySelector("canvas")?.setAttribute("aria-hidden", "true");
  };
  const move = (index) => {
    const left = chart.valToPos(chart.data[0][index], "x");
    chart.setCursor({ left, top: 10 });
  };
  box.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (!step || !chart) return;
    event.preventDefault();
    const [min, max] = chart.series[0].idxs;
    const last = chart.cursor.idx;
    const next = last === null || last === undefined ? max : last + step;
    move(Math.max(min, Math.min(max, next)));
  });
  return draw;
};
const axis = (more) => ({ stroke: colour("muted"), font: "11px system-ui, sans-serif", grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, ...more });
const days = () => axis({ size: 26, grid: { show: false }, space: 64, values: (_, splits) => splits.map((at) => date(at).slice(5)) });
// Round numbers of a logarithmic scale: three a decade, or one where there are many.
const round = (least, most) => {
  const all = [];
  for (let decade = 1; decade < most; decade *= 10) for (const step of [1, 2, 5]) all.push(step * decade);
  const inside = all.filter((value) => value >= least && value <= most);
  return inside.length > 7 ? inside.filter((value) => /^10*$/.test(String(value))) : inside;
};
const utc = (at) => new Date((at + new Date(at * 1000).getTimezoneOffset() * 60) * 1000);
