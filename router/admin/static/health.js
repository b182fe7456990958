// Latency by model, the scores beside their reference, promises beside feedback.
"use strict";
charts.kinds.latency = (found) => {
  const models = found.providers.filter((model) => model.first_p50_ms !== null);
  if (!models.length) return null;
  const names = models.map((model) => model.model);
  const bar = (field, name, color) => ({ type: "bar", orientation: "h", name, y: names, x: models.map((model) => model[field]), marker: { color: charts.color(color) }, hovertemplate: "%{y}: %{x:,.0f} ms<extra></extra>" });
  return { data: [bar("first_p50_ms", "median", "accent"), bar("first_p95_ms", "95th percentile", "reasoning")],
    layout: { barmode: "group", hovermode: "closest", xaxis: { ticksuffix: " ms", rangemode: "tozero" }, yaxis: { type: "category" }, margin: { l: 60, r: 16, t: 6, b: 36 } } };
};
charts.kinds.drift = (found) => {
  const { edges, found: now, reference } = found.scores;
  if (!now.some(Boolean)) return null;
  const middles = now.map((_, at) => (edges[at] + edges[at + 1]) / 2);
  return {
    data: [
      { type: "bar", name: "now", x: middles, y: now, marker: { color: charts.color("accent") } },
      { type: "scatter", mode: "lines", name: "reference", x: middles, y: reference, line: { color: charts.color("reasoning"), width: 2.5, shape: "hvh" } },
    ],
    layout: { bargap: 0.05, yaxis: { tickformat: ".0%", rangemode: "tozero" }, xaxis: { hoverformat: ".2f" } },
  };
};
charts.kinds.calibration = (found) => {
  const { promised, kept } = found.calibration;
  if (!promised.length) return null;
  return {
    data: [
      { type: "scatter", mode: "lines", name: "as promised", x: [0, 1], y: [0, 1], hoverinfo: "skip", line: { dash: "dot", color: charts.color("soft") } },
      { type: "scatter", mode: "lines+markers", name: "feedback", x: promised, y: kept, line: { color: charts.color("accent"), width: 2 }, marker: { size: 8 } },
    ],
    layout: { hovermode: "closest", xaxis: { range: [0, 1], title: { text: "promised" } }, yaxis: { range: [0, 1.02], title: { text: "kept" } }, margin: { l: 52, r: 12, t: 6, b: 44 } },
  };
};
