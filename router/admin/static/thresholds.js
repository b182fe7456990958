// The Thresholds page: a histogram with two lines to move, and figures that follow them.
"use strict";
(() => {
  const NEVER = 1.1, STEP = 0.005, LEAP = 0.05, DEBOUNCE_MS = 70, POLL_MS = 1200;
  const SVG = "http://www.w3.org/2000/svg";
  const board = document.getElementById("board"), plot = document.getElementById("plot"), form = document.getElementById("dials");
  const table = document.getElementById("effect"), problem = document.getElementById("problem");
  const inputs = [...form.querySelectorAll("[data-dial]")];
  const lines = ["reasoning", "parallel"].map((tier) => ({ tier, input: document.getElementById(`dial-${tier}_threshold`) }));
  let scores = null, today = null, frame = null, reached = {};

  const make = (name, attributes = {}, text = "") => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };
  const { tell, cell, rowHead, kinds: KINDS, rows: ROWS, percent, count, missing, region } = figures;
  const valueOf = (line) => {
    const text = line.input.value.trim() || line.input.placeholder;
    const value = Number(text);
    return text !== "" && Number.isFinite(value) ? value : null;
  };
  const snapped = (value) => Number(Math.min(Math.max(value, frame.low), frame.high).toFixed(3));

  // Figures

  function changeCell(figure, kind, better) {
    if (!figure || !kind.change) return tell("td", figure === undefined ? "" : "", "right");
    const plus = (value) => (value > 0 ? "+" : "") + kind.change(value);
    if (Math.abs(figure.value) < 1e-9) return tell("td", "none", "right");
    const made = cell(figure, plus, "");
    const isSure = figure.low > 0 || figure.high < 0;
    if (better && isSure) made.classList.add(figure.value * better > 0 ? "better" : "worse");
    return made;
  }

  // Two groups of rows: all requests, as Overview counts them, and those of them that a score decided.
  const OTHERS = ["in_force", "as_it_was", "always_fast", "shuffled"], COSTS = { costs_counted: "Costs counted", costs_not_counted: "Costs not counted" };
  function fill(body, found, others = OTHERS) {
    body.replaceChildren(...group(`All ${count(found.whole.requests)} requests, as Overview counts them`, found.whole, others));
    if (found.columns) body.append(...group(`The ${count(found.whole.decided)} of them that a score decided`, found, others));
  }
  function group(title, found, others) {
    const head = tell("tr", "", "group"), columns = { ...found.columns, as_it_was: found.as_it_was };
    head.append(Object.assign(tell("th", title), { colSpan: 3 + others.length, scope: "rowgroup" }));
    const rows = [head];
    for (const [name, label, kindName, better, isPart] of ROWS) {
      const kind = KINDS[kindName];
      if (!Object.values(columns).some((column) => name in column)) continue;
      if (name === "first_byte_mean_s" && !Object.values(columns).some((column) => column[name])) continue;
      const row = tell("tr", "", isPart ? "sub" : ""), shown = (column) => (column && name in column ? cell(column[name], kind.text, missing(name)) : tell("td"));
      row.append(rowHead(label), shown(columns.proposed));
      row.append(found.difference ? changeCell(found.difference[name], kind, better) : tell("td"));
      for (const other of others) row.append(shown(columns[other]));
      rows.push(row);
    }
    return rows;
  }

  function doubts(columns) {
    const { ratings, doubt } = columns.proposed;
    const basis = `Quality rests on ${ratings.count.toLocaleString("en")} rated answers, worth ${ratings.effective.toLocaleString("en")} under these dials`;
    return doubt ? `${basis}: not enough evidence, ${doubt}.` : `${basis}.`;
  }

  // What the dials would do

  let due = 0, isAsking = false, isWanted = false;
  const dialed = () => Object.fromEntries(inputs.map((input) => [input.name, input.value]));
  function schedule() {
    for (const input of inputs) input.classList.toggle("changed", input.value !== input.defaultValue && input.tagName === "INPUT");
    place();
    table.classList.add("stale");
    clearTimeout(due);
    due = setTimeout(ask, DEBOUNCE_MS);
  }
  async function ask() {
    if (isAsking) {
      isWanted = true;
      return;
    }
    isAsking = true;
    isWanted = false;
    const dials = dialed();
    try {
      const found = await tierwise.json("/admin/api/thresholds/preview", { span: board.dataset.span, segment: board.dataset.segment, dials });
      problem.hidden = true;
      if (found.whole) {
        fill(document.getElementById("figures"), found);
        document.getElementById("doubt").textContent = found.columns ? doubts(found.columns) : "No score decided any of these requests, so no threshold moves them.";
        reached = found.reached ?? {};
        table.classList.toggle("stale", JSON.stringify(dials) !== JSON.stringify(dialed()));  // moved on meanwhile
        place();
      } else if (found.stage === "reading") {
        setTimeout(ask, POLL_MS);
      }
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    }
    isAsking = false;
    if (isWanted) ask();
  }

  // The histogram and its lines

  const x = (score) => frame.left + ((Math.min(Math.max(score, frame.low), frame.high) - frame.low) / (frame.high - frame.low)) * frame.width;
  const scoreAt = (px) => frame.low + ((px - frame.left) / frame.width) * (frame.high - frame.low);
  function draw() {
    if (!scores) return;
    const { edges, counts } = scores, total = counts.reduce((sum, queries) => sum + queries, 0) || 1;
    const outer = plot.clientWidth - 8, height = window.innerWidth < 760 ? 240 : 300;
    frame = { low: edges[0], high: edges.at(-1), left: 46, width: Math.max(outer - 62, 100), top: 44, bottom: height - 30 };
    const tall = Math.sqrt(Math.max(...counts) / total) || 1;
    const y = (share) => frame.bottom - (Math.sqrt(share) / tall) * (frame.bottom - frame.top);
    const svg = make("svg", { viewBox: `0 0 ${outer} ${height}`, role: "group", "aria-label": "How many queries have which score, with the thresholds as sliders" });
    const axis = make("g", { class: "axis", "aria-hidden": "true" });
    for (const share of [0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1].filter((mark) => mark <= tall * tall).slice(-4)) {
      axis.append(make("line", { x1: frame.left, x2: frame.left + frame.width, y1: y(share), y2: y(share) }));
      axis.append(make("text", { x: frame.left - 6, y: y(share) + 4, "text-anchor": "end" }, `${Number((share * 100).toPrecision(2))} %`));
    }
    const step = (frame.high - frame.low) / frame.width > 0.0016 ? 0.2 : 0.1;
    for (let score = Math.ceil(frame.low / step) * step; score <= frame.high + 1e-9; score += step) {
      axis.append(make("text", { x: x(score), y: frame.bottom + 18, "text-anchor": "middle" }, score.toFixed(1).replace("-0.0", "0.0").replace("-", "−")));
    }
    svg.append(axis);
    const bars = make("g", { "aria-hidden": "true" });
    counts.forEach((queries, at) => {
      if (queries <= 0) return;
      const bar = make("rect", { x: x(edges[at]) + 0.5, width: Math.max(x(edges[at + 1]) - x(edges[at]) - 1, 1), y: y(queries / total), height: Math.max(frame.bottom - y(queries / total), 1), class: "bar-shape" });
      bar.dataset.score = (edges[at] + edges[at + 1]) / 2;
      bar.append(make("title", {}, `${edges[at].toFixed(3)} to ${edges[at + 1].toFixed(3)}: ${count(Math.round(queries))} queries`));
      bars.append(bar);
    });
    svg.append(bars);
    lines.forEach((line, at) => {
      const was = Number(line.input.dataset.was || line.input.placeholder);
      if (was <= frame.high) svg.append(make("line", { class: "today", x1: x(was), x2: x(was), y1: frame.top, y2: frame.bottom, "aria-hidden": "true" }));
      line.labelAt = 14 + at * 16;
      line.handle = handle(line);
      svg.append(line.handle);
    });
    frame.svg = svg;
    plot.replaceChildren(svg);
    place();
  }

  function handle(line) {
    const group = make("g", {
      class: `handle ${line.tier}`, role: "slider", tabindex: "0", "aria-orientation": "horizontal",
      "aria-label": `${line.tier[0].toUpperCase()}${line.tier.slice(1)} threshold`, "aria-valuemin": frame.low, "aria-valuemax": NEVER,
    });
    group.append(make("rect", { class: "reach", x: -16, width: 32, y: line.labelAt + 2, height: frame.bottom - line.labelAt - 2 }));
    group.append(make("line", { x1: 0, x2: 0, y1: line.labelAt + 6, y2: frame.bottom }));
    group.append(make("circle", { class: "grip", cx: 0, cy: line.tier === "reasoning" ? frame.top + 20 : frame.top + 62, r: 9 }));
    group.append(make("text", { class: "value", y: line.labelAt }));
    group.addEventListener("pointerdown", (event) => {
      group.setPointerCapture(event.pointerId);
      group.focus();
      event.preventDefault();
      const move = (moved) => set(line, snapped(scoreAt(moved.clientX - frame.svg.getBoundingClientRect().left)));
      const end = () => {
        group.removeEventListener("pointermove", move);
        for (const name of ["pointerup", "pointercancel"]) group.removeEventListener(name, end);
      };
      group.addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) group.addEventListener(name, end);
    });
    group.addEventListener("keydown", (event) => {
      const now = Math.min(valueOf(line) ?? frame.high, frame.high), size = event.shiftKey ? 0.001 : STEP;
      const to = { ArrowLeft: now - size, ArrowDown: now - size, ArrowRight: now + size, ArrowUp: now + size, PageDown: now - LEAP, PageUp: now + LEAP, Home: frame.low, End: frame.high }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      set(line, snapped(to));
    });
    return group;
  }

  function set(line, value) {
    line.input.value = String(value);
    schedule();
  }

  function place() {
    if (!frame) return;
    const [reasoning, parallel] = lines.map((line) => valueOf(line) ?? Infinity);
    for (const line of lines) {
      const value = valueOf(line), isOff = value === null || value > NEVER, at = x(isOff ? frame.high : value);
      line.handle.setAttribute("transform", `translate(${at} 0)`);
      const label = line.handle.querySelector("text"), share = reached[`${line.tier}_threshold`];
      label.textContent = `${line.tier} ${isOff ? "off" : value}`;
      const room = frame.left + frame.width - at;
      label.setAttribute("text-anchor", room < 70 ? "end" : at - frame.left < 50 ? "start" : "middle");
      line.handle.setAttribute("aria-valuenow", isOff ? NEVER : value);
      const reach = share === undefined || line.handle.dataset.value === undefined ? "" : `, ${percent(share)} of the queries reach it`;
      line.handle.dataset.value = String(value);
      line.handle.setAttribute("aria-valuetext", isOff ? "switched off" : `${value}${reach}`);
    }
    for (const bar of frame.svg.querySelectorAll(".bar-shape")) {
      const score = Number(bar.dataset.score), inReasoning = score >= reasoning, inParallel = score >= parallel;
      const first = parallel > reasoning ? inParallel : inParallel && !inReasoning;
      bar.classList.toggle("in-parallel", first);
      bar.classList.toggle("in-reasoning", inReasoning && !first);
    }
  }

  function describe(found) {
    const age = tierwise.moment(found.read_at, { timeStyle: "short" }), left = found.requests - found.decided;
    const own = board.dataset.segment ? ` of segment ${board.dataset.segment}` : "", part = found.replayed < found.decided ? ` (${count(found.replayed)} of them, evenly spread, are replayed)` : "";
    document.getElementById("read").textContent = `${count(found.requests)} requests${own}, read at ${age}: ${count(found.decided)} that a score decided${board.dataset.segment ? "" : part}, and ${count(left)} others (overrides, explicit models, housekeeping) that no threshold moves. The height of a bar is the square root of its share, so that few are seen too.`;
  }
  // A first, smaller sample is shown at once: when the rest is read, the figures follow.
  async function follow(replayed) {
    const query = new URLSearchParams({ span: board.dataset.span, segment: board.dataset.segment });
    const found = await tierwise.json(`/admin/api/thresholds/state?${query}`).catch(() => null);
    if (!found || found.span !== board.dataset.span) return;
    if (found.is_under_way && found.replayed === replayed) setTimeout(() => follow(replayed), POLL_MS);
    else if (found.stage === "ready") {
      describe(found);
      ask();
    }
  }
  async function load() {
    try {
      const query = new URLSearchParams({ span: board.dataset.span, segment: board.dataset.segment });
      const found = await tierwise.json(`/admin/api/thresholds/state?${query}`);
      if (found.window) document.getElementById("window").textContent = found.window;
      if (found.stage === "ready") {
        if (found.is_under_way) setTimeout(() => follow(found.replayed), POLL_MS);
        scores = found.scores ?? null;
        describe(found);
        if (scores) draw();
        else unscored();
        ask();
      } else if (found.stage === "empty") {
        unscored();
        if (found.requests) ask();
      } else if (found.stage === "failed") {
        plot.replaceChildren(tell("p", "The books cannot be read just now; trying again.", "state bad"));
        setTimeout(load, POLL_MS * 5);
      } else {
        setTimeout(load, POLL_MS);
      }
    } catch (error) {
      plot.replaceChildren(tell("p", error.message, "state bad"));
    }
  }
  function unscored() {
    plot.replaceChildren(empty("No query of this time was decided by a score", "Choose a longer stretch of time or another segment, or wait for traffic: once there is some, its scores appear here."));
  }
  function empty(title, text) {
    const made = tell("div", "", "empty"), first = tell("p");
    first.append(tell("strong", title));
    made.append(first, tell("p", text, "soft"));
    return made;
  }

  // Back-test and solution

  async function wait(button, state, text, work) {
    button.disabled = true;
    state.textContent = text;
    state.classList.remove("negative");
    try {
      await work();
      state.textContent = "";
    } catch (error) {
      state.textContent = error.message;
      state.classList.add("negative");
    }
    button.disabled = false;
  }

  const backtest = document.getElementById("backtest");
  backtest.addEventListener("click", () => wait(backtest, document.getElementById("backtest-state"), "Replaying every query…", async () => {
    const found = await tierwise.json("/admin/api/thresholds/backtest", { span: board.dataset.span, dials: dialed() });
    const result = document.getElementById("backtest-result"), scroll = region("Back-test"), made = table.cloneNode(true);
    made.removeAttribute("id");
    made.classList.remove("stale");
    made.querySelector("tbody").removeAttribute("id");
    const switched = Object.keys(COSTS).find((name) => found.columns[name]);
    made.tHead.rows[0].cells[5].before(Object.assign(tell("th", COSTS[switched], "right"), { scope: "col" }));
    fill(made.querySelector("tbody"), found, ["in_force", "as_it_was", switched, "always_fast", "shuffled"]);
    for (const row of made.rows) {
      if (row.className === "group") row.cells[0].colSpan -= 1;
      else row.cells[2]?.remove();
    }
    scroll.append(made);
    result.replaceChildren(tell("h3", `Back-test of ${found.requests.toLocaleString("en")} queries, row by row, against version ${found.against}`), scroll, tell("p", `${doubts(found.columns)} ${priced(found)} The figures above are the same to 0.4 points of the deep share, and to 0.8 where a share cap binds.`, "soft"), parts("These dials, by segment, all requests", found.whole_by_segment), parts("These dials, by segment, what a score decided", found.by_segment), parts("These dials, by country, what a score decided", found.by_country));
  }));
  function priced(found) {
    const known = found.priced === found.requests ? "all" : found.priced.toLocaleString("en");
    return `Of ${known} of these queries it is known what they cost beside the usual${known === "all" ? "." : "; the others stay as they are."}`;
  }

  const costs = document.getElementById("costs");
  costs.addEventListener("click", () => wait(costs, document.getElementById("costs-state"), "Replaying every query…", async () => {
    const found = await tierwise.json("/admin/api/thresholds/backtest", { span: board.dataset.span, dials: dialed() });
    const switched = Object.keys(COSTS).find((name) => found.columns[name]);
    const scroll = region(COSTS[switched]), made = tell("table"), top = tell("thead"), body = tell("tbody"), head = tell("tr");
    for (const [name, kind] of [["Figure", ""], ["These dials", "right"], [COSTS[switched], "right"]]) head.append(Object.assign(tell("th", name, kind), { scope: "col" }));
    for (const [figure, label, kind] of ROWS.filter(([name]) => ["deep_share", "cost_usd_per_1k", "margin"].includes(name))) {
      const row = tell("tr");
      row.append(rowHead(label));
      for (const column of ["proposed", switched]) row.append(cell(found.columns[column][figure], KINDS[kind].text, missing(figure)));
      body.append(row);
    }
    top.append(head);
    made.append(top, body);
    scroll.append(made);
    document.getElementById("costs-result").replaceChildren(scroll, tell("p", `${found.requests.toLocaleString("en")} queries, replayed row by row. ${priced(found)}`, "soft"));
  }));

  function parts(title, found) {
    const names = Object.keys(found);
    if (names.length < 2) return tell("span");
    const scroll = region(title), made = tell("table"), body = tell("tbody"), head = tell("tr"), top = tell("thead");
    made.append(tell("caption", title));
    for (const name of ["Figure", ...names]) head.append(Object.assign(tell("th", name, name === "Figure" ? "" : "right"), { scope: "col" }));
    top.append(head);
    for (const [figure, label, kind] of ROWS.filter(([name]) => names.some((one) => found[one][name]))) {
      const row = tell("tr");
      row.append(rowHead(label));
      for (const name of names) row.append(cell(found[name][figure], KINDS[kind].text, missing(figure)));
      body.append(row);
    }
    made.append(top, body);
    scroll.append(made);
    return scroll;
  }

  const solve = document.getElementById("solve");
  solve.addEventListener("submit", (event) => {
    event.preventDefault();
    const { of, ...given } = Object.fromEntries([...new FormData(solve)].filter(([, value]) => value.trim() !== ""));
    wait(solve.querySelector("button"), document.getElementById("solve-state"), "Trying thresholds on every query…", async () => {
      const found = await tierwise.json("/admin/api/thresholds/solve", { span: board.dataset.span, segment: board.dataset.segment, of, targets: given });
      const result = document.getElementById("solution"), list = tell("ul", "", "diff");
      for (const change of found.changes) list.append(tell("li", `${change.dial}: ${change.before} → ${change.after}`));
      const predicted = found.whole ?? found.predicted, used = found.used === null ? "" : `, of which ${percent(found.used)} is used`;
      const said = ["deep_share", "cost_usd_per_1k", "margin"].map((name) => ROWS.find(([row]) => row === name)).filter(([name]) => predicted[name]);
      const written = said.map(([name, label, kind]) => `${label.toLowerCase()} ${KINDS[kind].text(predicted[name].value)}`).join(", ");
      const parts = [tell("p", `Understood: ${found.understood}. What binds: ${found.binding.replaceAll("_", " ")}${used}. Predicted of ${found.whole ? "all requests" : "those that a score decided"}: ${written}.`)];
      if (found.note) parts.push(tell("p", found.note, "warn"));
      parts.push(found.changes.length ? list : tell("p", "Nothing to change: the dials in force are the answer.", "soft"));
      if (found.changes.length) {
        const use = tell("button", "Use these dials");
        use.type = "button";
        use.addEventListener("click", () => {
          for (const change of found.changes) {
            const input = inputs.find((one) => one.name === change.dial);
            if (input) input.value = change.after;
          }
          schedule();
          board.scrollIntoView({ block: "start" });
        });
        parts.push(use);
      }
      result.replaceChildren(...parts);
    });
  });

  // The open trial

  const GUARDS = { margin: "Margin", errors: "Errors", slow: "Slow first bytes", regenerates: "Asked again", thumbs_down: "Thumbs down", deep_share: "Deep share" };
  const STANDING = { undecided: ["too early to tell", ""], breached: ["breached", "bad"], passed: ["no harm so far", "good"] };
  const arms = document.getElementById("arms");
  async function guards() {
    const found = await tierwise.json("/admin/api/thresholds/trial").catch((error) => ({ failed: error.message }));
    if (found.failed) arms.replaceChildren(tell("p", found.failed, "negative"));
    else if (!found.open) {
      const last = found.last ? `Version ${found.last.version}: ${found.last.state.replaceAll("_", " ")}. ${found.last.verdict ?? ""}` : "";
      const again = tell("a", "Load the page again");
      again.href = location.href;
      arms.replaceChildren(tell("p", `The trial has ended. ${last}`, "warn"), again);
      return;
    } else {
      const scroll = region("Guards"), made = tell("table"), head = tell("tr"), top = tell("thead"), body = tell("tbody");
      for (const [label, kind] of [["Guard", ""], ["Canary", "right"], ["Beside it", "right"], ["Harm, surely between", "right"], ["Harmful from", "right"], ["Verdict", ""]]) {
        const cell = tell("th", label, kind);
        cell.scope = "col";
        head.append(cell);
      }
      top.append(head);
      for (const one of found.findings) {
        const row = tell("tr"), standing = tell("td");
        const [said, look] = STANDING[found.is_enough ? one.standing : "undecided"];
        standing.append(tell("span", said, `badge ${look}`));
        const value = (number) => tell("td", number === null ? "not known" : percent(number), "right");
        row.append(rowHead(GUARDS[one.guard] ?? one.guard), value(one.canary), value(one.control));
        row.append(tell("td", one.low === null || one.high === null || one.high - one.low > 2 ? "not known yet" : `${percent(one.low)} to ${percent(one.high)}`, "right"), value(one.harmful), standing);
        body.append(row);
      }
      made.append(top, body);
      scroll.append(made);
      arms.replaceChildren(tell("p", `The guards: ${found.said}.`), ...(found.findings.length ? [scroll] : []));
    }
    setTimeout(guards, 5000);
  }
  if (arms) guards();

  // How shares are understood: 18 % and 0.18 mean the same.

  for (const input of document.querySelectorAll("input[data-share]")) {
    const help = document.getElementById(input.getAttribute("aria-describedby")), said = tell("span");
    help?.append(" ", said);
    const understand = () => {
      const text = input.value.trim(), bare = text.replace(/\s*%$/, ""), value = Number(bare);
      if (bare === "" || !Number.isFinite(value)) said.textContent = "";
      else if (bare !== text) said.textContent = `Understood as ${value} %.`;
      else said.textContent = value > 1 ? `Write ${value} % or ${value / 100}.` : `Understood as ${Number((value * 100).toPrecision(6))} %.`;
    };
    input.addEventListener("input", understand);
    if (input.value) understand();
  }

  // The frame of the form

  for (const input of inputs) input.addEventListener("input", schedule);
  document.getElementById("restore").addEventListener("click", () => {
    form.reset();
    schedule();
  });
  // What happened in another stretch of time, without losing the dials that are not saved.
  async function happened(address) {
    const place = document.getElementById("happened"), reply = await fetch(address, { credentials: "same-origin" }).catch(() => null);
    const found = reply?.ok ? new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("happened") : null;
    place.replaceChildren(...(found ? found.childNodes : [tell("p", "The server does not answer: load the page again.", "negative")]));
  }
  const span = document.getElementById("span");
  span.addEventListener("change", () => {
    board.dataset.span = span.value;
    for (const hidden of document.querySelectorAll("input[type=hidden][name=span]")) hidden.value = span.value;
    document.getElementById("scores-title").textContent = `Scores, last ${span.selectedOptions[0].textContent}`;
    const address = new URL(location.href);
    address.searchParams.set("span", span.value);
    history.replaceState(null, "", address);
    happened(address);
    scores = null;
    frame = null;
    plot.replaceChildren(tell("p", `Reading the requests of the last ${span.selectedOptions[0].textContent}…`, "state"));
    load();
  });
  const segment = document.getElementById("segment");
  segment.addEventListener("change", () => {
    const isChanged = inputs.some((input) => input.tagName === "INPUT" && input.type !== "hidden" && input.value !== input.defaultValue);
    if (isChanged && !window.confirm("Dials that were changed here are not saved. Go on?")) {
      segment.value = board.dataset.segment;
      return;
    }
    document.getElementById("view").requestSubmit();
  });
  let resized = 0;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(draw, 120);
  });
  load();
})();
