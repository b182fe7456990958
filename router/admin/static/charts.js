// Draws charts: a page's script registers a kind (JSON -> Plotly's data and layout), elements with data-feed are filled.
// No style or script is inline, Plotly is loaded once and only where there is a chart.
"use strict";

const charts = {
  kinds: {},
  drawn: new Map(),
  feeds: new Map(),
  plotly: null,

  color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  },

  load(address) {
    charts.plotly ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("The charts' script cannot be loaded."));
      document.head.append(script);
    });
    return charts.plotly;
  },

  feed(address) {
    if (!charts.feeds.has(address)) charts.feeds.set(address, tierwise.json(address));
    return charts.feeds.get(address);
  },

  state(element, text, bad = false) {
    const line = document.createElement("p");
    line.className = bad ? "state bad" : "state still";
    line.textContent = text;
    element.replaceChildren(line);
  },

  // The house's look around a kind's own layout.
  layout(own) {
    const ink = charts.color("ink"), line = charts.color("line"), soft = charts.color("soft");
    const axis = { gridcolor: line, zerolinecolor: soft, linecolor: line, tickfont: { color: soft }, automargin: true, fixedrange: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12 },
      margin: { l: 48, r: 12, t: 8, b: 30 }, bargap: 0.18, hovermode: "x unified",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal", font: { color: ink, size: 12 } }, showlegend: true,
      hoverlabel: { bgcolor: charts.color("raised"), bordercolor: line, font: { color: ink } },
      ...own,
      xaxis: { ...axis, ...(own.xaxis ?? {}) }, yaxis: { ...axis, ...(own.yaxis ?? {}) },
      ...(own.yaxis2 ? { yaxis2: { ...axis, ...own.yaxis2 } } : {}),
    };
  },

  async draw(element, figure) {
    const plotly = await charts.load(element.dataset.plotly);
    element.replaceChildren();
    charts.drawn.set(element, figure);
    const { data, layout, open } = figure();
    await plotly.newPlot(element, data, charts.layout(layout), { displayModeBar: false, responsive: true });
    // A kind may lead from a point to the page that has its requests.
    element.classList.toggle("opens", Boolean(open));
    if (open) element.on("plotly_click", (event) => location.assign(open(event.points[0])));
  },

  async fill(element) {
    const kind = charts.kinds[element.dataset.kind];
    if (!kind) return;
    if (element.dataset.instead) return charts.state(element, element.dataset.instead);
    try {
      const found = await charts.feed(element.dataset.feed);
      const first = kind(found);
      if (first === null) charts.state(element, "Nothing to draw yet.");
      else await charts.draw(element, () => kind(found));
    } catch (error) {
      charts.state(element, error.message, true);
    }
  },
};

window.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".plot[data-feed]")) charts.fill(element);
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [element, figure] of charts.drawn) charts.draw(element, figure);
});
