// The last week under the assumptions in force and under each scenario.
"use strict";
charts.kinds.scenarios = (found) => {
  const dollars = (nano) => (nano === null ? null : nano / 1e9);
  const left = (expected) => (expected === null || found.cost_nanousd === null ? null : dollars(expected - found.cost_nanousd));
  const rows = [["in force", left(found.expected_nanousd)], ...found.scenarios.map((one) => [one.name, dollars(one.contribution_nanousd)])].filter(([, value]) => value !== null);
  if (!rows.length) return null;
  return {
    data: [{ type: "bar", orientation: "h", y: rows.map(([name]) => name).reverse(), x: rows.map(([, value]) => value).reverse(),
      hovertemplate: "%{y}: %{x:$,.2f}<extra></extra>", marker: { color: rows.map(([, value]) => charts.color(value < 0 ? "bad" : "good")).reverse() } }],
    layout: { showlegend: false, hovermode: "closest", margin: { l: 70, r: 16, t: 6, b: 34 }, xaxis: { tickformat: "$,~f", zeroline: true }, yaxis: { type: "category" } },
  };
};
