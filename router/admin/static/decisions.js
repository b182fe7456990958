// The scores of the requests on this page, one row of points for each tier that answered.
"use strict";
charts.kinds.scores = (found) => {
  const tiers = ["fast", "parallel", "reasoning"].filter((tier) => found.requests.some((request) => request.final_tier === tier));
  if (!tiers.length) return null;
  const cuts = found.requests[0].cuts;
  return {
    data: tiers.map((tier) => {
      const own = found.requests.filter((request) => request.final_tier === tier);
      return { type: "scatter", mode: "markers", name: tier, x: own.map((request) => request.score), y: own.map(() => tier),
        text: own.map((request) => `${request.reason.replaceAll("_", " ")}, ${tierwise.moment(request.at_us)}`),
        hovertemplate: "%{x:.3f}: %{text}<extra></extra>", marker: { size: 9, opacity: 0.65, color: charts.color(tier) } };
    }),
    layout: {
      showlegend: false, hovermode: "closest", margin: { l: 76, r: 12, t: 18, b: 30 }, xaxis: { zeroline: true }, yaxis: { type: "category" },
      shapes: cuts ? ["parallel", "reasoning"].filter((name) => cuts[name] <= 1.1).map((name) =>
        ({ type: "line", x0: cuts[name], x1: cuts[name], yref: "paper", y0: 0, y1: 1, line: { color: charts.color(name), dash: "dash", width: 1.5 } })) : [],
    },
  };
};
