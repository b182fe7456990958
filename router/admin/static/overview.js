// The overview's charts, all from one piece of JSON.
"use strict";
const TIERS = ["fast", "parallel", "reasoning"];
const anything = (found) => found.times.length > 0;
const bars = (x, y, name, color, extra = {}) => ({ type: "bar", x, y, name, marker: { color: charts.color(color) }, ...extra });
const line = (x, y, name, color, extra = {}) =>
  ({ type: "scatter", mode: x.length > 1 ? "lines+markers" : "markers", x, y, name, connectgaps: false, line: { color: charts.color(color), width: 2.5 }, marker: { size: 5 }, ...extra });
const dollars = { tickformat: "$,~f", rangemode: "tozero" };
const times = (found) => ({ type: "category", nticks: 8, tickangle: 0,
  tickvals: found.times.filter((_, at) => at % Math.ceil(found.times.length / 6) === 0),
  ticktext: found.times.filter((_, at) => at % Math.ceil(found.times.length / 6) === 0).map((time) => (found.step === "hour" ? time.slice(11, 13) + " h" : time.slice(5))) });

// The requests of a bar: those of its step and, where it is a tier's, of its tier.
const opens = (found) => (point) => {
  const query = new URLSearchParams(found.links[found.times.indexOf(point.x)]);
  const tier = TIERS.find((name) => point.data.name.endsWith(name));
  if (tier) query.set("tier", tier);
  return `/admin/decisions?${query}`;
};

charts.kinds.money = (found) => anything(found) ? {
  data: [
    ...TIERS.filter((tier) => found.by_tier[tier]).map((tier) => bars(found.times, found.by_tier[tier].cost_usd, `cost, ${tier}`, tier)),
    line(found.times, found.expected_revenue_usd, "expected revenue", "ink"),
    ...(found.booked_revenue_usd.some(Number) ? [line(found.times, found.booked_revenue_usd, "booked", "accent", { line: { dash: "dot", color: charts.color("accent") } })] : []),
  ],
  layout: { barmode: "stack", xaxis: times(found), yaxis: dollars },
  open: opens(found),
} : null;

charts.kinds.contribution = (found) => anything(found) ? {
  data: [{ type: "bar", x: found.times, y: found.contribution_usd, name: "contribution", marker: { color: found.contribution_usd.map((value) => charts.color(value < 0 ? "bad" : "good")) } }],
  layout: { showlegend: false, xaxis: times(found), yaxis: { tickformat: "$,~f", zeroline: true } },
  open: opens(found),
} : null;

charts.kinds.requests = (found) => anything(found) ? {
  data: TIERS.filter((tier) => found.by_tier[tier]).map((tier) => bars(found.times, found.by_tier[tier].requests, tier, tier)),
  layout: { barmode: "stack", xaxis: times(found), yaxis: { rangemode: "tozero" } },
  open: opens(found),
} : null;

charts.kinds.depth = (found) => anything(found) ? {
  data: [
    line(found.times, found.deep_share, "deep share", "reasoning"),
    line(found.times, found.errors.map((errors, at) => found.requests[at] && errors !== null ? errors / found.requests[at] : null), "errors", "bad"),
  ],
  layout: { xaxis: times(found), yaxis: { tickformat: ".1%", rangemode: "tozero" } },
  open: opens(found),
} : null;
