// The requests by day: how long they took, and how they failed.
const requests = () => {
  const { days: at, total, p50, p95, p99, kinds, failed } = facts.requests;
  const home = find("latency-chart");
  if (home) {
    const names = ["half within", "95 % within", "99 % within"];
    const dash = [[], [6, 4], [2, 3]];
    home.append(make("ul", { className: "legend" }, ...names.map((name, index) => make("li", {}, make("span", { className: `swatch d${index} c${index}` }), name))));
    draws.push(plot(home, "Response time by day", {
      height: () => 200,
      usual: "Days without requests have no times, and no line is drawn across them.",
      data: () => [at, p50, p95, p99],
      options: () => ({
        tzDate: utc,
        scales: { x: { time: true }, y: { distr: 3, range: (_, least, most) => least ? [Math.max(0.5, least / 1.6), most * 1.6] : [1, 1000] } },
        axes: [days(), axis({ size: 66, filter: (_, splits) => splits, values: (_, splits) => splits.map(millis), splits: (_, __, least, most) => round(least, most) })],
        series: [{}, ...names.map((label, index) => ({ label, spanGaps: false, stroke: colour(`c${index}`), width: 1.75, dash: dash[index], points: { show: true, size: 5, fill: colour(`c${index}`) } }))],
      }),
      tell: (index) => `${date(at[index])}: ` + (total[index] ? `${counted(total[index], "request")}, half within ${millis(p50[index])}, 95 % within ${millis(p95[index])}, 99 % within ${millis(p99[index])}` : "no requests"),
    }));
  }
  const other = find("errors-chart");
  if (other) {
    const shown = kinds.length > 6 ? 5 : kinds.length;
    const names = kinds.slice(0, shown);
    const stacks = failed.slice(0, shown).map((list) => [...list]);
    if (kinds.length > shown) {
      names.push(`${kinds.length - shown} other kinds`);
      stacks.push(at.map((_, day) => failed.slice(shown).reduce((sum, list) => sum + list[day], 0)));
    }
    const sums = at.map((_, day) => stacks.reduce((sum, list) => sum + list[day], 0));
    other.append(make("ul", { className: "legend" }, ...names.map((name, index) => make("li", {}, make("span", { className: `swatch block c${index}` }), `${index + 1} ${name}`))));
    draws.push(plot(other, "Failed requests by day and kind", {
      height: () => 200,
      usual: "The number in a part of a bar is that of its kind above.",
      data: () => [at, sums],
      options: () => ({
        tzDate: utc,
        scales: { x: { time: true, range: (_, least, most) => [least - 43200, most + 43200] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] } },
        axes: [days(), axis({ size: 46, space: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6], values: (_, splits) => splits.map(count) })],
        series: [{}, { stroke: "transparent", paths: () => null, points: { show: false } }],
        hooks: { draw: [(chart) => {
          const context = chart.ctx;
          const dense = window.devicePixelRatio || 1;
          const wide = Math.max(2, Math.abs(chart.valToPos(at[0] + 86400, "x", true) - chart.valToPos(at[0], "x", true)) - 2 * dense);
          const tints = names.map((_, index) => colour(`c${index}`));
          const on = colour("on");
          context.save();
          context.textAlign = "center";
          context.textBaseline = "middle";
          context.font = `600 ${10 * dense}px system-ui, sans-serif`;
          at.forEach((day, column) => {
            let base = 0;
            stacks.forEach((list, kind) => {
              if (!list[column]) return;
              const low = chart.valToPos(base, "y", true);
              const high = chart.valToPos(base + list[column], "y", true);
              const x = chart.valToPos(day, "x", true);
              context.fillStyle = tints[kind];
              context.fillRect(x - wide / 2, high, wide, Math.max(1, low - high - dense));
              if (low - high > 12 * dense && wide > 9 * dense) {
                context.fillStyle = on;
                context.fillText(String(kind + 1), x, (low + high) / 2);
              }
              base += list[column];
            });
          });
          context.restore();
        }] },
      }),
      tell: (index) => `${date(at[index])}: ` + (sums[index] ? kinds.map((kind, one) => [kind, failed[one][index]]).filter(([, times]) => times).map(([kind, times]) => `${count(times)} ${kind}`).join(", ") + `, of ${counted(total[index], "request")}` : total[index] ? `none of ${counted(total[index], "request")} failed` : "no requests"),
    }));
  }
};
