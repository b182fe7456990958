// Try a query: sends what is typed as JSON, so that it is in no address, and shows what would become of it.
"use strict";
(() => {
  const form = document.getElementById("try"), state = document.getElementById("try-state"), outcome = document.getElementById("outcome");
  const of = (id) => document.getElementById(id);
  const tell = (name, text = "", kind = "") => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const words = (name) => name.replaceAll("_", " ");
  const percent = (value) => `${(value * 100).toFixed(1)} %`;
  const seconds = (value) => (value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`);
  const times = (ratio) => `${ratio.toFixed(ratio < 10 ? 2 : 1)} times`;
  const usd = (text) => {
    const value = Number(text);
    return value === 0 ? "$0" : `$${value.toFixed(Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(value))))))}`;
  };
  const reached = (d) => (d.worth === d.score ? `its score ${d.score.toFixed(3)}` : `its worth ${d.worth.toFixed(3)}`);
  const WHY = {
    below_threshold: (d) => `${reached(d)} is below every threshold`,
    above_threshold: (d) => `${reached(d)} reaches ${d.threshold.toFixed(3)}`,
    too_costly: (d) => `its score ${d.score.toFixed(3)} reaches ${d.threshold.toFixed(3)}, but thinking costs ${times(d.cost_ratio)} the usual here, at which it is worth ${d.worth.toFixed(3)}`,
    share_cap: (d) => `${reached(d)} would do, but of the last queries more than the share of ${d.max_deep_share} went deep, and this one is not among the neediest`,
    follow_up: () => "it follows up on a question that needs it",
    pushback: () => "the answer before was not accepted",
    capability: () => "the wanted tier cannot take it",
    housekeeping: () => "it is a chore of the chat program",
  };

  function decided(title, decision, other) {
    const card = tell("div", "", "card"), line = tell("p"), why = WHY[decision.reason];
    const effort = decision.effort ? ` at ${decision.effort} effort,` : "";
    line.append(tell("span", decision.tier, `tier ${decision.tier}`), `${effort} ${why ? why(decision) : words(decision.reason)}`);
    card.append(tell("h3", `${title}: version ${decision.version}`), line, tell("p", `parallel from ${decision.parallel_threshold}, reasoning from ${decision.reasoning_threshold}, deep share at most ${decision.max_deep_share}, cost sensitivity ${decision.cost_sensitivity}`, "soft"));
    if (other) card.append(tell("p", other.tier === decision.tier ? "The same tier as today." : `Today it goes to ${other.tier}.`, other.tier === decision.tier ? "soft" : ""));
    return card;
  }

  function tile(name, value, more = "") {
    const made = tell("div", "", "tile");
    made.append(tell("dt", name), tell("dd", value));
    if (more) made.append(tell("dd", more, "soft"));
    return made;
  }

  function tier(found, length, chosen) {
    const name = found.tier, row = tell("tr"), head = tell("th");
    head.scope = "row";
    head.append(tell("span", name, `tier ${name}`));
    if (chosen) head.append(" ", tell("span", "today", "badge good"));
    row.append(head);
    const cells = [
      ["P(right answer)", percent(found.p_correct)],
      ["Length", length ? `${length[1].toLocaleString("en")} tokens (${length[0].toLocaleString("en")} to ${length[2].toLocaleString("en")})` : "as its samples"],
      ["Expected cost", found.expected_cost_usd === null ? "no price" : `${usd(found.expected_cost_usd)} (${usd(found.cost_usd.low)} to ${usd(found.cost_usd.high)})`],
      ["At most", found.largest_cost_usd === null ? "no price" : usd(found.largest_cost_usd)],
      ["Takes", `${seconds(found.seconds.median)} (${seconds(found.seconds.low)} to ${seconds(found.seconds.high)})`],
    ];
    for (const [label, text] of cells) {
      const cell = tell("td", text, "right");
      cell.dataset.name = label;
      row.append(cell);
    }
    return row;
  }

  function show(found) {
    const { today, proposed } = found.decisions, estimate = found.estimate;
    of("decisions").replaceChildren(decided("In force", today), ...(proposed ? [decided("Proposed", proposed, today)] : []));
    of("estimate").replaceChildren(
      tile("Score", today.score.toFixed(3), `gain ${estimate.gain.toFixed(3)} ± ${estimate.uncertainty.toFixed(3)}`),
      tile("Worth", today.worth.toFixed(3), today.cost_sensitivity === "0" ? "costs are not counted" : `the score at ${times(today.cost_ratio)} the usual cost`),
      tile("Answer", words(estimate.answer_type), estimate.may_vote ? "can be voted on" : "cannot be voted on"),
      tile("Stakes", estimate.stakes),
      tile("Prompt", `${found.input_tokens.toLocaleString("en")} tokens`, "about"),
      tile("Classifier", estimate.classifier),
    );
    of("tiers").replaceChildren(...found.quote.tiers.map((one) => tier(one, found.lengths[one.tier], one.tier === today.tier)));
    outcome.hidden = false;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    state.textContent = "Estimating…";
    state.classList.remove("negative");
    try {
      const earlier = of("earlier").value.split(/^---\s*$/m).map((turn) => turn.trim()).filter(Boolean);
      const version = of("version").value === "" ? null : Number(of("version").value);
      show(await tierwise.json("/admin/api/try", { text: of("text").value, system: of("system").value, earlier, version, segment: of("try-segment").value }));
      state.textContent = "";
    } catch (error) {
      state.textContent = error.message;
      state.classList.add("negative");
      outcome.hidden = true;
    }
    button.disabled = false;
  });
})();
