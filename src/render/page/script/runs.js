// The runs: how long each took, with a mark of its own for every outcome.
const runs = () => {
  const home = find("runs-chart");
  const { at, took, outcome, outcomes, command, failed, jobs, since } = facts.runs;
  if (!home || !at.length) return;
  const tones = { succeeded: "good", running: "accent", partial: "aging", deferred: "aging", skipped: "muted", failed: "stale", interrupted: "stale", crashed: "stale" };
  const mark = (context, word, x, y, size) => {
    const r = size;
    context.beginPath();
    if (word === "succeeded" || word === "skipped") context.arc(x, y, r * 0.8, 0, 7);
    else if (word === "partial") { context.moveTo(x, y - r); context.lineTo(x + r, y + r * 0.8); context.lineTo(x - r, y + r * 0.8); context.closePath(); }
    else if (word === "deferred") { context.moveTo(x, y - r); context.lineTo(x + r, y); context.lineTo(x, y + r); context.lineTo(x - r, y); context.closePath(); }
    else if (word === "interrupted") context.rect(x - r * 0.8, y - r * 0.8, r * 1.6, r * 1.6);
    else if (word === "running") { context.moveTo(x - r * 0.7, y - r); context.lineTo(x + r, y); context.lineTo(x - r * 0.7, y + r); context.closePath(); }
    else { context.moveTo(x - r, y - r); context.lineTo(x + r, y + r); context.moveTo(x + r, y - r); context.lineTo(x - r, y + r); }
    if (word === "failed" || word === "crashed" || word === "skipped") context.stroke(); else context.fill();
  };
  const values = took.map((seconds) => Math.max(1, seconds ?? 1));
  const last = at.reduce((most, one) => Math.max(most, one), since);
  home.append(make("p", { className: "note" }, "How long each run took, on a logarithmic scale. A run that took less than a second, or never said how long, stands on the lowest line."));
  draws.push(plot(home, "Runs over time by how long they took", {
    height: () => 190,
    usual: "Point at a run, or move from run to run with the arrow keys.",
    data: () => [at, values],
    options: () => ({
      tzDate: utc,
      scales: { x: { time: true, range: [since, Math.max(last + 43200, since + 86400)] }, y: { distr: 3, range: (_, __, most) => [0.8, Math.max(60, most * 1.6)] } },
      axes: [days(), axis({ size: 46, filter: (_, splits) => splits, values: (_, splits) => splits.map(span), splits: (_, __, least, most) => [1, 10, 60, 600, 3600, 36000].filter((value) => value >= least && value <= most) })],
      series: [{}, { stroke: "transparent", paths: () => null, points: { show: false } }],
      hooks: { draw: [(chart) => {
        const context = chart.ctx;
        const dense = window.devicePixelRatio || 1;
        context.save();
        context.lineWidth = 1.8 * dense;
        const tints = Object.fromEntries(Object.entries(tones).map(([word, tone]) => [word, colour(tone)]));
        const order = [...at.keys()].sort((a, b) => (tones[outcomes[outcome[a]]] === "good" ? 0 : 1) - (tones[outcomes[outcome[b]]] === "good" ? 0 : 1));
        for (const index of order) {
          const word = outcomes[outcome[index]];
          context.strokeStyle = context.fillStyle = tints[word];
          context.globalAlpha = word === "succeeded" ? 0.55 : 1;
          mark(context, word, chart.valToPos(at[index], "x", true), chart.valToPos(values[index], "y", true), (word === "succeeded" ? 2.6 : 4) * dense);
        }
        context.restore();
      }] },
    }),
    tell: (index) => `${instant(at[index])} ${command[index]}: ${outcomes[outcome[index]]}, ${took[index] === null ? "never said how long it took" : `took ${span(took[index])}`}, ${failed[index] ? `${count(failed[index])} of ${counted(jobs[index], "job")} failed` : counted(jobs[index], "job")}`,
  }));
};
