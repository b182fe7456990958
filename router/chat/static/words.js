// What codes and figures are called on the page: tiers, reasons, seconds, dollars, and what went wrong.

export const TIERS = { fast: "Quick answer", reasoning: "Thought through", parallel: "Asked several times" };

const THOUGHT = { reasoning: "it was thought about first", parallel: "it was answered several times and the answers were compared" };

const WHY = {
  below_threshold: () => "A longer think would hardly change this one.",
  above_threshold: (tier) => `Steps matter for this question, so ${THOUGHT[tier] ?? "it was thought about"}.`,
  share_cap: () => "Deeper thinking is kept for harder questions just now.",
  too_costly: () => "Thinking about this one would cost more than it is likely to gain.",
  budget_spent: () => "The budget for deeper thinking is used up for now.",
  user_allowance: () => "Your deep answers for today are used up.",
  override: (tier) => (tier === "fast" ? "You asked for a quick one." : "You asked to think longer."),
  effort: () => "You asked for this much effort.",
  capability: () => "Only this kind of model can take what you sent.",
  housekeeping: () => "A small chore that needs no thinking.",
  follow_up: (tier) => (tier === "fast" ? "It goes on from a question that was easy." : `It goes on from a question that needs it, so ${THOUGHT[tier]}.`),
  pushback: (tier) => `You were not satisfied with the answer before, so ${THOUGHT[tier] ?? "it was asked again"}.`,
  explored: () => "Chosen by chance: now and then this shows which questions need thinking.",
  fallback: () => "Another model stood in, because the usual one did not answer.",
};

export function why(reason, tier) {
  return (WHY[reason] ?? (() => ""))(tier);
}

export function seconds(value) {
  if (value < 1) return "under a second";
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${Number((value / 3600).toFixed(1))} hours`;
}

// "15 to 40 s"; one figure where both ends round to the same.
export function span({ low, high }) {
  const [from, to] = [seconds(low), seconds(high)];
  if (from === to) return from;
  const unit = to.split(" ").at(-1);
  return from.endsWith(` ${unit}`) ? `${from.slice(0, -unit.length - 1)} to ${to}` : `${from} to ${to}`;
}

// Dollars as decimal text; null is not known.
export function dollars(text) {
  if (text === null || text === undefined) return "";
  const value = Number(text);
  if (value === 0) return "free";
  if (value < 0.0001) return "under $0.0001";
  return `$${value >= 1 ? value.toFixed(2) : Number(value.toPrecision(2)).toFixed(Math.min(6, Math.ceil(-Math.log10(value)) + 1))}`;
}

function about(text) {
  return /^(under|free)/.test(text) ? text : `about ${text}`;
}

// What a deeper look takes: "about 20 s, $0.002".
export function price(quoted) {
  if (!quoted) return "";
  return [about(seconds(quoted.seconds.median)), dollars(quoted.expected_cost_usd)].filter(Boolean).join(", ");
}

// What a job was promised to take: "It usually takes 2 to 5 min and costs about $0.01, at most $0.02. An answer at once is
// right with 61 %, this one with 88 %."
export function jobPrice(quoted) {
  const [usual, most] = [dollars(quoted.expected_cost_usd), dollars(quoted.largest_cost_usd)];
  const takes = quoted.seconds?.low === undefined ? "" : span(quoted.seconds);
  const said = [takes && `usually takes ${takes}`, most && (most === "free" ? "is free" : `costs ${[usual && about(usual), `at most ${most}`].filter(Boolean).join(", ")}`)].filter(Boolean).join(" and ");
  const [before, after] = [quoted.p_correct_now, quoted.p_correct].map((p) => p && `${Math.round(p * 100)} %`);
  return [said && `It ${said}.`, before && after && `An answer at once is right with ${before}, this one with ${after}.`].filter(Boolean).join(" ");
}

// How far a job is, as a sentence.
export function progress({ isQueued, ahead, progress: found }) {
  if (isQueued) return ahead ? `Waiting: ${ahead} ${ahead === 1 ? "answer is" : "answers are"} worked on first.` : "It begins in a moment.";
  const { stage, done, planned, leader_share: share } = found ?? {};
  if (stage !== "sample" || !planned) return `Thinking in the background. ${found?.sentence ?? ""}`;
  const agree = share ? `, ${Math.round(share * 100)} % agree so far` : "";
  return `Thinking in the background: ${done} of up to ${planned} attempts${agree}.`;
}

// A refusal of the server as a sentence with what to do.
export function trouble(status, error, retryAfter) {
  const said = sentence(error?.message ?? "");
  const after = retryAfter ? ` in ${seconds(Number(retryAfter))}` : " in a moment";
  if (status === 401) return "Your session has ended, or its key was revoked. Load the page again to begin a new one; this conversation stays in the tab.";
  if (status === 429 && error?.type === "insufficient_quota") return `${said} ${retryAfter ? `It opens again${after}.` : "Ask whoever runs this service for more."}`;
  if (status === 429) return `Too much is being asked at once. Try again${after}.`;
  if (status === 413 || error?.code === "context_length_exceeded") return "This conversation is too long for the models here. Begin a new one, or ask about less at a time.";
  if (status === 403) return `${said} Load the page again; if that does not help, ask whoever runs this service.`;
  if (status === 503 || status === 529) return `${said || "The service is busy."} Try again${after}.`;
  if (status >= 500) return `The models could not answer: ${said || "something failed."} Try again, or ask for another kind of answer.`;
  return said || `The server says ${status}. Try again.`;
}

function sentence(text) {
  const begun = text.slice(0, 1).toUpperCase() + text.slice(1);
  return !begun || /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
