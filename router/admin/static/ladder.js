// What is right against the logarithm of cost, with intervals and the break-even line; own traffic in the same way.
"use strict";
(() => {
  const PER_1K = 1e-6; // of nano-dollars a query, in dollars per 1,000
  const series = (views, figure, name, color, style = {}) => {
    const known = views.filter(({ rung }) => rung[figure] && rung.cost_nanousd?.value > 0);
    const ends = (read, side) => known.map(({ rung }) => Math.abs((read(rung)[side] ?? read(rung).value) - read(rung).value));
    const right = (rung) => rung[figure], cost = (rung) => ({ ...rung.cost_nanousd });
    const bars = (read, unit) => ({ type: "data", symmetric: false, array: ends(read, "high").map((end) => end * unit), arrayminus: ends(read, "low").map((end) => end * unit), color: charts.color("soft"), thickness: 1, width: 0 });
    return {
      type: "scatter", mode: "lines+markers+text", name, x: known.map(({ rung }) => rung.cost_nanousd.value * PER_1K), y: known.map(({ rung }) => rung[figure].value),
      error_x: bars(cost, PER_1K), error_y: bars(right, 1), line: { color: charts.color(color), width: 1.5, dash: style.dash ?? "solid" },
      marker: { color: charts.color(color), size: style.size ?? 9, symbol: style.symbol ?? "circle" },
      text: known.map(({ rung }) => (style.isQuiet ? "" : rung.kind === "samples" || rung.name === "1 sample" ? `×${rung.samples}` : rung.name.replace("reasoning ", ""))),
      textposition: style.position ?? "top center", textfont: { color: charts.color("ink"), size: 11 },
      customdata: known.map(({ rung }) => rung.name), hovertemplate: "%{customdata}: %{y:.1%} right, $%{x:.4g} per 1,000<extra></extra>",
    };
  };
  const figure = (traces, revenue) => {
    const data = traces.filter((trace) => trace.x.length);
    if (!data.length) return null;
    const all = data.flatMap((trace) => trace.x).concat(revenue > 0 ? [revenue * PER_1K] : []).map(Math.log10);
    const pad = Math.max((Math.max(...all) - Math.min(...all)) * 0.08, 0.1);
    if (revenue > 0) data.push({ type: "scatter", mode: "lines", name: "break-even", x: [revenue * PER_1K, revenue * PER_1K], y: [0, 1.04], line: { color: charts.color("bad"), width: 2, dash: "dash" }, hovertemplate: "1,000 queries earn $%{x:.4g}<extra></extra>" });
    return {
      data,
      layout: {
        hovermode: "closest", margin: { l: 48, r: 14, t: 8, b: 42 },
        xaxis: { type: "log", range: [Math.min(...all) - pad, Math.max(...all) + pad], tickprefix: "$", dtick: 1, title: { text: "cost per 1,000 queries", font: { size: 11 } } },
        yaxis: { tickformat: ".0%", range: [0, 1.08] },
      },
    };
  };
  charts.kinds.ladder = (found) => {
    const of = (...kinds) => found.rungs.filter(({ rung }) => kinds.includes(rung.kind));
    return figure([
      series(found.rungs, "covered", "any sample right", "other", { dash: "dot", size: 5, isQuiet: true }),
      series(of("single", "samples"), "accuracy", "fast, samples", "fast", { position: "bottom center" }),
      series(of("effort"), "accuracy", "reasoning", "reasoning", { symbol: "square", position: "bottom right" }),
      series(of("tier"), "accuracy", "parallel", "parallel", { symbol: "diamond", size: 12, position: "top left" }),
    ], found.revenue_nanousd);
  };
  charts.kinds.traffic = (found) => figure([
    series(found.traffic, "covered", "any sample right, at least", "other", { dash: "dot", size: 7 }),
    series(found.traffic.filter(({ rung }) => rung.kind === "tier"), "accuracy", "parallel, as answered", "parallel", { symbol: "diamond", size: 12, position: "top left" }),
  ], found.revenue_nanousd);
})();
