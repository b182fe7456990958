// The page: asks, shows answers while they come, and does what the buttons say.

import { AnswerView, copy } from "./answer.js";
import { Conversation, verdictOf } from "./conversation.js";
import { actOn, beginJob, follow, forget, forgetAll, read, remember, remembered } from "./jobs.js";
import { make } from "./markdown.js";
import { Trouble, ask, quote, rate } from "./server.js";
import { TIERS, span } from "./words.js";

const of = (id) => document.getElementById(id);
const allowed = document.body.dataset.tiers.split(" ");
const form = of("ask"), question = of("question");
const NEAR_END = 120; // pixels from the end of the page at which it follows what is written
const LONG_S = 4;
const WORTH_A_JOB_S = 60; // from here on nobody should have to keep the page open

let conversation = Conversation.restore();
let running = null; // what can be stopped

const acts = {
  mayRate: document.body.dataset.mayRate === "yes",

  hasMail: document.body.dataset.mail === "yes",

  // Where to think longer: after a quick answer in the deeper tier, else in the background, where an answer may take
  // as many samples as it needs. Null where there is nothing deeper.
  deeper(answer) {
    const hasJobs = document.body.dataset.jobs === "yes";
    const [tier] = ["reasoning", "parallel"].filter((name) => name !== answer.tier && allowed.includes(name));
    const isQuick = (answer.tier ?? "fast") === "fast", takes = answer.quoted?.[tier]?.seconds.median ?? 0;
    if (tier && isQuick && (takes < WORTH_A_JOB_S || !hasJobs)) return { tier, isJob: false };
    const [of] = ["parallel", "reasoning"].filter((name) => allowed.includes(name));
    if (hasJobs && of && !answer.job) return { tier: of, isJob: true };
    return tier && answer.tier === "parallel" && !answer.job ? { tier, isJob: false } : null;
  },

  // Another tier than the one that answered, the strongest first.
  checker: (answer) => ["reasoning", "parallel", "fast"].find((name) => name !== answer.tier && allowed.includes(name)) ?? null,

  again: (answer) => begin(turnOf(answer), answer.model),
  think: (answer, { tier, isJob }, mail) => (isJob ? beginInBackground(turnOf(answer), tier, mail) : begin(turnOf(answer), tier)),

  // Ends a job, with the answer that leads or with none.
  async end(answer, act) {
    try {
      take(answer, read(await actOn(answer.job.id, act)));
      say(act === "cancel" ? "Stopped." : "Asked for the answer as it stands.");
    } catch (error) {
      say(error.message);
    }
    redraw(answer);
  },

  async rate(answer, rating) {
    const before = answer.rating;
    answer.rating = rating;
    redraw(answer);
    try {
      await rate(answer.requestId, rating);
      say("Thank you, your rating is stored.");
    } catch (error) {
      answer.rating = before;
      redraw(answer);
      say(`The rating was not stored. ${error.message}`);
    }
    conversation.keep();
    viewOf(answer)?.element.querySelector(`.icon[aria-pressed=true]`)?.focus();
  },

  async check(answer) {
    if (running) return;
    const checker = acts.checker(answer), turn = turnOf(answer);
    const check = (answer.check = { ...fresh(checker), expected: checker });
    say("Checking the answer.");
    await run(check, conversation.messagesToCheck(turn, answer), () => redraw(answer));
    if (check.state === "done") say({ agrees: "The check agrees.", disagrees: "The check disagrees.", unclear: "The check came to no clear verdict." }[verdictOf(check.text).verdict]);
    viewOf(answer)?.element.focus();
  },
};

const views = new Map(); // by answer
const places = new Map(); // by turn

function fresh(model) {
  return { model, state: "working", text: "", thinking: "", began: Date.now() };
}

function turnOf(answer) {
  return conversation.turns.find((turn) => turn.answers.includes(answer));
}

function viewOf(answer) {
  return views.get(answer);
}

function redraw(answer) {
  viewOf(answer)?.draw();
}

function say(text) {
  of("said").textContent = "";
  requestAnimationFrame(() => (of("said").textContent = text));
}

// Asks for an answer of a turn; those before it are folded away.
async function begin(turn, model) {
  if (running) return;
  const earlier = turn.answers.at(-1);
  if (earlier && !earlier.text) turn.answers.pop();
  const answer = fresh(model), messages = conversation.messagesFor(turn);
  if (earlier?.quoted) answer.quoted = earlier.quoted;
  answer.expected = model === "auto" ? earlier?.expected : model;
  turn.answers.push(answer);
  drawTurn(turn);
  viewOf(answer).element.scrollIntoView({ block: "nearest" });
  say(model === "auto" ? "Asked." : "Thinking longer.");
  if (!answer.quoted) expect(answer, messages);
  await run(answer, messages, () => viewOf(answer)?.drawSoon());
  redraw(answer);
  if (answer.state === "done") say(`${TIERS[answer.tier] ?? "Answer"}: ${answer.text.slice(0, 600)}`);
  else if (answer.state === "failed") say(answer.trouble);
  if (document.activeElement === document.body) (model === "auto" ? question : viewOf(answer)?.element)?.focus();
}

// Has a turn answered in the background; the page may be closed meanwhile.
async function beginInBackground(turn, model, mail) {
  const messages = conversation.messagesFor(turn), earlier = turn.answers.at(-1);
  const answer = { ...fresh(model), quoted: earlier?.quoted, expected: model, mail };
  turn.answers.push(answer);
  drawTurn(turn);
  viewOf(answer).element.focus();
  try {
    take(answer, read(await beginJob({ messages, model, conversation: conversation.id, mail })));
    say("Thinking in the background. You can go on, or close this page.");
    remember({ id: answer.job.id, question: turn.question, began: answer.began });
    conversation.keep();
    await lookAfter(answer);
  } catch (error) {
    fail(answer, error);
  }
}

async function lookAfter(answer) {
  try {
    await follow(answer.job.id, (found, error) => {
      if (found) take(answer, read(found));
      answer.away = error?.message;
      redraw(answer);
    });
    answer.took = (Date.now() - answer.began) / 1000;
    if (answer.state === "done") {
      say(`The answer from the background is there: ${answer.text.slice(0, 600)}`);
      if (document.hidden) document.title = `Answered · ${document.title}`;
    }
    forget(answer.job.id);
  } catch (error) {
    if (error.isGone) forget(answer.job.id);
    fail(answer, error);
  }
  redraw(answer);
  conversation.keep();
}

function fail(answer, error) {
  answer.state = "failed";
  answer.trouble = error instanceof Trouble ? error.message : "Something in this page failed. Load it again.";
  if (!(error instanceof Trouble)) console.error(error);
  redraw(answer);
  say(answer.trouble);
}

// Looks up what each tier would take; without it the page goes on and promises nothing.
async function expect(answer, messages) {
  try {
    const found = await quote(messages);
    answer.quoted = found.tiers;
    answer.expected ??= found.auto;
    const takes = found.tiers[answer.expected]?.seconds;
    if (answer.state === "working" && takes?.median >= LONG_S) say(`This usually takes ${span(takes)}.`);
    redraw(answer);
    conversation.keep();
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
  }
}

// Has one answer or check written; whatever happens it ends as done, stopped or failed.
async function run(answer, messages, changed) {
  running = new AbortController();
  showRunning();
  const ticking = setInterval(() => changed(), 1000);
  try {
    await ask({ messages, model: answer.model, conversation: conversation.id, signal: running.signal }, (step) => {
      take(answer, step);
      changed();
    });
    answer.state = "done";
    answer.took = (Date.now() - answer.began) / 1000;
  } catch (error) {
    answer.state = error.name === "AbortError" ? "stopped" : "failed";
    answer.trouble = error instanceof Trouble ? error.message : "Something in this page failed. Load it again.";
    if (!(error instanceof Trouble) && error.name !== "AbortError") console.error(error);
  }
  clearInterval(ticking);
  running = null;
  showRunning();
  conversation.keep();
  changed();
}

function take(answer, step) {
  if (step.job || step.requestId) return Object.assign(answer, step);
  if (step.thinking) answer.thinking += step.thinking;
  if (step.text) {
    if (!answer.text && answer.thinking) answer.thoughtFor = (Date.now() - answer.began) / 1000;
    answer.text += step.text;
  }
  if (step.finish) answer.finish = step.finish;
  if (step.explained) {
    answer.tier = step.explained.final_tier;
    answer.reason = step.explained.reason;
    answer.costNanousd = step.explained.cost_nanousd;
    answer.confidence = step.explained.confidence;
  }
}

function showRunning() {
  of("send").hidden = Boolean(running);
  of("stop").hidden = !running;
  for (const button of document.querySelectorAll("#turns .acts button")) button.disabled = Boolean(running);
}

// Drawing. The page follows what is written only for those who are at its end.

function isAtEnd() {
  return window.innerHeight + window.scrollY > document.documentElement.scrollHeight - NEAR_END;
}

let wasAtEnd = true;
window.addEventListener("scroll", () => (wasAtEnd = isAtEnd()), { passive: true });

function changed() {
  if (wasAtEnd) window.scrollTo(0, document.documentElement.scrollHeight);
  if (running) showRunning();
}

function viewFor(answer) {
  if (!views.has(answer)) views.set(answer, new AnswerView(answer, acts, { changed }));
  return views.get(answer);
}

function drawTurn(turn) {
  const place = places.get(turn) ?? make("section", { class: "turn", "aria-label": "Question and answer" });
  places.set(turn, place);
  const earlier = turn.answers.slice(0, -1).map((answer) => make("details", { class: "earlier" },
    make("summary", {}, `Earlier answer: ${(TIERS[answer.tier] ?? "").toLowerCase()}`), viewFor(answer).element));
  const last = turn.answers.at(-1);
  place.replaceChildren(make("div", { class: "asked", tabindex: "0", role: "group", "aria-label": "Question" }, make("span", { class: "heard" }, "You asked: "), turn.question), ...earlier, ...(last ? [viewFor(last).element] : []));
  if (!place.isConnected) of("turns").append(place);
  of("welcome").hidden = true;
  of("new").hidden = false;
}

function grow() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  grow();
  wasAtEnd = true;
  begin(conversation.add(text), "auto");
});

question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
question.addEventListener("input", grow);
document.addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
of("stop").addEventListener("click", () => {
  running?.abort();
  question.focus();
});

of("new").addEventListener("click", () => {
  running?.abort();
  conversation = new Conversation();
  conversation.keep();
  of("turns").replaceChildren();
  of("welcome").hidden = false;
  of("new").hidden = true;
  question.focus();
});

of("sign-out")?.addEventListener("submit", () => {
  sessionStorage.clear();
  forgetAll();
});

of("turns").addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-copy]");
  if (pressed) copy(pressed.closest(".code").querySelector("code").textContent, pressed);
});

// What was under way: jobs are looked after again, also those of a page that was closed; the rest has stopped.
for (const turn of conversation.turns) {
  for (const answer of [...turn.answers, ...turn.answers.map((one) => one.check)].filter((one) => one?.state === "working" && !one.job)) answer.state = "stopped";
}
const here = new Set(conversation.turns.flatMap((turn) => turn.answers.map((answer) => answer.job?.id)));
const wanted = new URLSearchParams(location.search).get("answer") ?? "";
if (/^resp_[0-9a-f]{32}$/.test(wanted) && !remembered().some((one) => one.id === wanted)) remember({ id: wanted, question: "A question you asked before", began: Date.now() });
for (const { id, question: asked, began } of remembered().filter((one) => !here.has(one.id))) {
  conversation.add(asked).answers.push({ ...fresh("parallel"), began, job: { id } });
}
for (const turn of conversation.turns) {
  drawTurn(turn);
  for (const answer of turn.answers) if (answer.job && answer.state === "working") lookAfter(answer);
}
document.addEventListener("visibilitychange", () => (document.title = document.title.replace("Answered · ", "")));
window.scrollTo(0, document.documentElement.scrollHeight);
