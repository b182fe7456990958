// One answer on the page: why it comes from where it does, its thinking, its text, and what can be done with it.

import { verdictOf } from "./conversation.js";
import { make, render } from "./markdown.js";
import { TIERS, dollars, jobPrice, price, progress, seconds, span, why } from "./words.js";

const LONG_S = 4; // from here on people are told how long it will take
const LATEST = 90; // characters of the thinking that a folded summary shows
const PAUSE_MS = 80; // between two drawings of a text that is being written
const THUMBS = {
  1: ["Good answer", "M7 10v11H3V10zm0 0 4-8a3 3 0 0 1 3 3v4h5.5a2 2 0 0 1 2 2.3l-1.3 8A2 2 0 0 1 18.2 21H7"],
  "-1": ["Bad answer", "M17 14V3h4v11zm0 0-4 8a3 3 0 0 1-3-3v-4H4.5a2 2 0 0 1-2-2.3l1.3-8A2 2 0 0 1 5.8 3H17"],
};

export class AnswerView {
  // `answer` is what is kept of it; `acts` does what its buttons say.
  constructor(answer, acts, parts) {
    this.answer = answer;
    this.acts = acts;
    this.parts = parts;
    this.why = make("p", { class: "why" });
    this.thinking = new Thinking();
    this.working = make("p", { class: "working" });
    this.job = make("div", { class: "job" });
    this.text = make("div", { class: "text" });
    this.note = make("p", { class: "note" });
    this.buttons = make("div", { class: "acts" });
    this.check = make("section", { class: "check", "aria-label": "Check of this answer" });
    this.element = make("article", { class: "answer", "aria-label": "Answer", tabindex: "-1" },
      this.why, this.thinking.element, this.working, this.job, this.text, this.note, this.buttons, this.check);
    this.draw();
  }

  // Draws soon: a text that streams in is drawn a few times a second, and less often the longer it is.
  drawSoon() {
    this.timer ??= setTimeout(() => this.draw(), PAUSE_MS + this.answer.text.length / 100);
  }

  draw() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { answer } = this, isWorking = answer.state === "working";
    this.element.setAttribute("aria-busy", String(isWorking));
    this.drawWhy();
    this.thinking.draw(answer.thinking, { isOn: isWorking && !answer.text, began: answer.began, took: answer.thoughtFor ?? (answer.job && answer.took) });
    this.working.hidden = !isWorking || Boolean(answer.text) || Boolean(answer.thinking) || Boolean(answer.job);
    this.drawJob(isWorking);
    if (!this.working.hidden) this.working.textContent = this.expectation();
    this.text.replaceChildren(render(answer.text));
    this.note.textContent = note(answer);
    this.note.hidden = !this.note.textContent;
    this.note.className = answer.state === "failed" ? "wrong" : "note";
    this.drawButtons();
    this.drawCheck();
    this.parts.changed();
  }

  drawWhy() {
    const { tier, reason } = this.answer;
    this.why.hidden = !tier;
    if (tier) this.why.replaceChildren(make("span", { class: `tier ${tier}` }, TIERS[tier] ?? tier), why(reason, tier), sureness(this.answer));
  }

  // How far a job is, what it was promised to take, and its two ways to an end.
  drawJob(isWorking) {
    const { job, away, mail } = this.answer;
    this.job.hidden = !job || !isWorking;
    if (this.job.hidden) return;
    this.jobHead ??= make("p", { class: "working" });
    this.jobBar ??= make("progress", { class: "bar", "aria-label": "How far it is" });
    this.jobFacts ??= make("p", { class: "note" });
    this.jobButtons ??= make("div", { class: "acts" }, button("Answer now", () => this.acts.end(this.answer, "answer_now")), button("Stop it", () => this.acts.end(this.answer, "cancel")));
    this.jobHead.textContent = away ?? progress(job);
    const { done, planned } = job.progress ?? {};
    this.jobBar.hidden = !planned;
    if (planned) Object.assign(this.jobBar, { max: planned, value: Math.min(done ?? 0, planned) });
    this.jobFacts.textContent = [job.quote && jobPrice(job.quote), mail ? `${mail} gets a mail once it is there.` : "You can go on, or close this page: the answer is found here again."].filter(Boolean).join(" ");
    if (!this.job.firstChild) this.job.append(this.jobHead, this.jobBar, this.jobFacts, this.jobButtons);
  }

  // What to expect before the first word.
  expectation() {
    const { answer } = this, takes = answer.quoted?.[answer.tier ?? answer.expected]?.seconds;
    if (!takes || takes.median < LONG_S) return "Working on it…";
    return `This takes a while: usually ${span(takes)}. You can stop at any time.`;
  }

  drawButtons() {
    const { answer, acts } = this;
    this.buttons.hidden = answer.state === "working";
    if (this.buttons.hidden) return;
    const shown = [];
    const deeper = acts.deeper(answer);
    if (answer.state === "failed") shown.push(button("Try again", () => acts.again(answer)));
    if (deeper && answer.text) shown.push(...this.deeperButtons(deeper));
    if (answer.text && !answer.check && acts.checker(answer)) shown.push(button("Check it", () => acts.check(answer), price(answer.quoted?.[acts.checker(answer)])));
    if (answer.text && answer.requestId && acts.mayRate) shown.push(...[1, -1].map((rating) => this.thumb(rating)));
    if (answer.text) shown.push(copyButton(() => answer.text));
    if (answer.took) shown.push(make("span", { class: "took" }, [seconds(answer.took), cost(answer)].filter(Boolean).join(" · ")));
    this.buttons.replaceChildren(...shown);
  }

  deeperButtons(deeper) {
    const { answer, acts } = this, quoted = answer.quoted?.[deeper.tier];
    const more = deeper.isJob ? ["in the background", quoted && dollars(quoted.expected_cost_usd)].filter(Boolean).join(", ") : price(quoted);
    const think = button("Think longer", () => acts.think(answer, deeper), more);
    return deeper.isJob && acts.hasMail ? [think, button("Mail me", () => this.askForAddress(deeper))] : [think];
  }

  // Asks where to mail the answer to, in the place of the buttons.
  askForAddress(deeper) {
    const address = make("input", { type: "email", required: "", autocomplete: "email", "aria-label": "Your mail address", placeholder: "you@example.com" });
    const form = make("form", { class: "acts" }, address, make("button", { type: "submit" }, "Think longer and mail me"), button("Back", () => this.draw()));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.acts.think(this.answer, deeper, address.value);
    });
    this.buttons.replaceChildren(form);
    address.focus();
  }

  thumb(rating) {
    const [label, path] = THUMBS[rating];
    const made = make("button", { type: "button", class: "quiet icon", "aria-label": label, title: label, "aria-pressed": String(this.answer.rating === rating) }, icon(path));
    made.addEventListener("click", () => this.acts.rate(this.answer, rating));
    return made;
  }

  drawCheck() {
    const { check } = this.answer;
    this.check.hidden = !check;
    if (!check) return;
    const { verdict, words } = verdictOf(check.text), isWorking = check.state === "working";
    const heads = { agrees: "A second look agrees", disagrees: "A second look disagrees", unclear: "A second look came to no clear verdict" };
    const head = isWorking ? "Checking…" : check.state === "failed" ? "The check did not work" : heads[verdict];
    this.check.className = `check ${isWorking || check.state === "failed" ? "" : verdict}`;
    this.checkThinking ??= new Thinking();
    this.checkThinking.draw(check.thinking, { isOn: isWorking && !check.text, began: check.began, took: check.thoughtFor });
    const takes = this.answer.quoted?.[check.expected]?.seconds;
    const said = make("div", { class: "text" }, render(words));
    if (isWorking && !words && takes) said.append(make("p", { class: "note" }, `Another model works it out: usually ${span(takes)}.`));
    if (check.trouble) said.append(make("p", {}, check.trouble));
    this.check.replaceChildren(make("h2", {}, head), this.checkThinking.element, said);
  }
}

// The thinking: folded, its summary with the time and the latest words while it comes.
class Thinking {
  constructor() {
    this.head = make("span");
    this.latest = make("span", { class: "latest" });
    this.thoughts = make("div", { class: "thoughts", tabindex: "0", role: "region", "aria-label": "Thinking" });
    this.element = make("details", { class: "thinking" }, make("summary", {}, this.head, this.latest), this.thoughts);
  }

  draw(text, { isOn, began, took }) {
    this.element.hidden = !text;
    if (!text) return;
    const passed = isOn ? (Date.now() - began) / 1000 : took;
    this.head.textContent = isOn ? `Thinking for ${seconds(passed)}` : took >= 1 ? `Thought for ${seconds(took)}` : "Thought briefly";
    this.latest.textContent = isOn ? ` · ${latestOf(text)}` : "";
    if (this.thoughts.textContent === text) return;
    const isAtEnd = this.thoughts.scrollTop + this.thoughts.clientHeight > this.thoughts.scrollHeight - 30;
    this.thoughts.textContent = text;
    if (isAtEnd) this.thoughts.scrollTop = this.thoughts.scrollHeight;
  }
}

function latestOf(text) {
  const line = text.trimEnd().split("\n").at(-1).trim();
  const sentence = line.split(/(?<=[.!?])\s+/).at(-1);
  return sentence.length > LATEST ? `…${sentence.slice(-LATEST)}` : sentence;
}

function note(answer) {
  if (answer.state === "stopped") return "Stopped.";
  if (answer.state === "failed") return answer.trouble;
  if (answer.finish === "length") return "The answer reached its length limit and ends here.";
  if (answer.finish === "content_filter") return "The model's own filter ended this answer.";
  return "";
}

function sureness({ state, confidence }) {
  return state === "done" && confidence ? ` Likely right: ${Math.round(confidence * 100)} %.` : "";
}

function cost({ costNanousd }) {
  return costNanousd === null || costNanousd === undefined ? "" : dollars(String(costNanousd / 1e9));
}

export function button(label, press, more = "") {
  const made = make("button", { type: "button", class: "quiet" }, label);
  if (more) made.append(" ", make("small", {}, more));
  made.addEventListener("click", press);
  return made;
}

function copyButton(text) {
  const made = button("Copy", () => copy(text(), made));
  return made;
}

export async function copy(text, pressed) {
  const before = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "Copied";
  } catch {
    pressed.textContent = "Not allowed";
  }
  setTimeout(() => (pressed.textContent = before), 1500);
}

function icon(path) {
  const space = "http://www.w3.org/2000/svg", made = document.createElementNS(space, "svg"), line = document.createElementNS(space, "path");
  for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", width: "18", height: "18", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linejoin": "round", "aria-hidden": "true" })) made.setAttribute(name, value);
  line.setAttribute("d", path);
  made.append(line);
  return made;
}
