// Holds what a version did against what it was predicted to do, when asked.
"use strict";
(() => {
  const { tell, region, cell, rowHead, kinds, rows, missing } = figures;
  const form = document.getElementById("realise"), state = document.getElementById("realise-state"), place = document.getElementById("realised");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    state.textContent = "Reading the queries that it decided…";
    state.classList.remove("negative");
    try {
      show(await tierwise.json(`/admin/api/history/realised?version=${document.getElementById("version").value}`));
      state.textContent = "";
    } catch (error) {
      state.textContent = error.message;
      state.classList.add("negative");
      place.replaceChildren();
    }
    button.disabled = false;
  });

  function show(found) {
    const scroll = region("Predicted and realised"), table = tell("table", "", "effect"), head = tell("tr"), top = tell("thead"), body = tell("tbody");
    const by = found.predicted_by ? `predicted by ${found.predicted_by} on ${tierwise.moment(found.predicted_at)}` : "nothing was predicted when it was saved";
    const whose = found.segment ? `, of segment ${found.segment}` : "";
    table.append(tell("caption", `Version ${found.version}: ${found.requests.toLocaleString("en")} queries since ${tierwise.moment(found.since)}${whose}; ${by}.`, "soft"));
    for (const [label, kind] of [["Figure", ""], ["Predicted", "right"], ["Realised", "right"], ["Verdict", ""]]) {
      const made = tell("th", label, kind);
      made.scope = "col";
      head.append(made);
    }
    top.append(head);
    for (const [name, label, kind, , isPart] of rows) {
      const one = found.figures.find((figure) => figure.figure === name);
      if (!one || (!one.predicted && !one.realised)) continue;
      const row = tell("tr", "", isPart ? "sub" : ""), said = tell("td");
      if (one.is_outside !== null) said.append(tell("span", one.is_outside ? "off by more than chance" : "as predicted", `badge ${one.is_outside ? "warning" : "good"}`));
      row.append(rowHead(label), cell(one.predicted, kinds[kind].text, "not predicted"), cell(one.realised, kinds[kind].text, missing(name)), said);
      body.append(row);
    }
    table.append(top, body);
    scroll.append(table);
    place.replaceChildren(scroll);
  }
})();
