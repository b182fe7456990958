// How figures of a policy are named and written, on every page that shows some.
"use strict";
const figures = (() => {
  const sized = (value, digits) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const usd = (value) => {
    const size = Math.abs(value), digits = size >= 100 ? 0 : size >= 1 || size === 0 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size)));
    return `${value < 0 ? "−" : ""}$${sized(size, digits)}`;
  };
  const percent = (value) => `${sized(value * 100, Math.abs(value) < 0.1 ? 2 : 1)} %`;
  const count = (value) => value.toLocaleString("en");
  const seconds = (value) => `${sized(value, 2)} s`;
  const kinds = {
    percent: { text: percent, change: (value) => percent(value).replace(" %", " pp") },
    usd: { text: usd, change: usd },
    seconds: { text: seconds, change: seconds },
    score: { text: (value) => sized(value, 3) },
  };
  // Name, label, kind, whether more is better (1), worse (-1) or neither (0), whether it is a part of the one above.
  const rows = [
    ["deep_share", "Deep share", "percent", 0], ["share_reasoning", "reasoning", "percent", 0, true], ["share_parallel", "parallel", "percent", 0, true],
    ["cost_usd_per_1k", "Cost per 1,000", "usd", -1], ["revenue_usd_per_1k", "Expected revenue per 1,000", "usd", 1],
    ["contribution_usd_per_1k", "Contribution per 1,000", "usd", 1], ["margin", "Margin", "percent", 1],
    ["wait_mean_s", "Waiting time, mean", "seconds", -1], ["wait_p95_s", "95 % wait at most", "seconds", -1, true], ["first_byte_mean_s", "first byte, mean", "seconds", -1, true],
    ["quality", "Quality (mean rating)", "score", 1],
  ];

  function tell(name, text = "", kind = "") {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  // A cell with a figure and, below it, its interval.
  function cell(figure, kind, missing) {
    const made = tell("td", "", "right");
    if (!figure) {
      made.append(tell("span", missing, "unknown"));
      return made;
    }
    made.textContent = kind(figure.value);
    const bare = (value) => kind(value).replace(/ (%|pp|s)$/, "").replace("$", "");
    if (figure.low !== null && figure.high !== null && kind(figure.low) !== kind(figure.high)) made.append(tell("span", `${bare(figure.low)} to ${bare(figure.high)}`, "range"));
    return made;
  }

  // A box for a wide table: it can be scrolled with the keyboard too.
  function region(label) {
    const made = tell("div", "", "scroll");
    made.tabIndex = 0;
    made.setAttribute("role", "region");
    made.setAttribute("aria-label", label);
    return made;
  }

  function rowHead(label) {
    const made = tell("th", label);
    made.scope = "row";
    return made;
  }

  return { kinds, rows, cell, tell, region, rowHead, percent, count, missing: (name) => (name === "quality" ? "not enough evidence" : "not known") };
})();
