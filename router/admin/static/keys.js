// What is left of each budget, and the even pace, in the share of its limit so that large and small ones compare.
"use strict";
const LOOKS = ["accent", "reasoning", "parallel", "other", "fast", "bad"];
charts.kinds.burn = (found) => {
  if (!found.budgets.length) return null;
  const data = [];
  found.budgets.forEach((budget, at) => {
    const through = (ms) => (ms - budget.start_ms) / (budget.end_ms - budget.start_ms);
    const part = (usd) => (budget.limit_usd ? Math.max(usd / budget.limit_usd, 0) : 0);
    data.push({ type: "scatter", mode: "lines", name: budget.name, x: budget.at_ms.map(through), y: budget.left_usd.map(part),
      text: budget.left_usd.map((usd, point) => `${usd < 0 ? "$" + (-usd).toFixed(2) + " over" : "$" + usd.toFixed(2) + " left"}, ${tierwise.moment(budget.at_ms[point] * 1000, { dateStyle: "short", timeStyle: "short" })}`),
      hovertemplate: "%{text}", line: { width: 2.5, color: charts.color(LOOKS[at % LOOKS.length]), shape: "hv" } });
  });
  data.push({ type: "scatter", mode: "lines", name: "even pace", x: [0, 1], y: [1, 0], hoverinfo: "skip", line: { dash: "dot", width: 1.5, color: charts.color("soft") } });
  return { data, layout: { hovermode: "closest", xaxis: { tickformat: ".0%", range: [0, 1] }, yaxis: { tickformat: ".0%", range: [0, 1.03] } } };
};
