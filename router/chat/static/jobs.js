// Answers that are worked on in the background: begun, looked after, and found again once the page was closed.

import { send } from "./server.js";

const KEY = "tierwise-chat-jobs"; // in this browser, as long as an answer is not fetched: its id and what was asked
const SOON_MS = 1_000, LATER_MS = 3_000, SOON_FOR_MS = 15_000;

export async function beginJob({ messages, model, conversation, mail }) {
  const wish = mail ? { notify: { mail } } : {};
  const body = { model, input: messages, background: true, store: true, metadata: { conversation_id: conversation }, x_tierwise: { recipe: "deep", ...wish } };
  return (await send("/responses", body)).json();
}

export async function actOn(id, act) {
  return (await send(`/responses/${encodeURIComponent(id)}/${act}`, {})).json();
}

// Looks until the job has ended or is not there any more; `hear` is told of each look, and of each that failed.
export async function follow(id, hear) {
  const began = Date.now();
  for (;;) {
    try {
      const found = await (await send(`/responses/${encodeURIComponent(id)}`, undefined, { method: "GET" })).json();
      hear(found);
      if (!["queued", "in_progress"].includes(found.status)) return;
    } catch (error) {
      if (error.isOver || error.isGone) throw error;
      hear(null, error);
    }
    await new Promise((done) => setTimeout(done, Date.now() - began < SOON_FOR_MS ? SOON_MS : LATER_MS));
  }
}

// What a Response object says, in the fields of an answer.
export function read(found) {
  const of = (type, part) => found.output.filter((item) => item.type === type).flatMap(part).map((one) => one.text).join("");
  const said = found.x_tierwise, text = of("message", (item) => item.content.filter((one) => one.text));
  const isWorking = ["queued", "in_progress"].includes(found.status);
  const state = isWorking ? "working" : found.status === "cancelled" ? "stopped" : text ? "done" : "failed";
  return {
    state, text,
    thinking: of("reasoning", (item) => item.summary),
    tier: said.final_tier ?? said.tier, reason: said.reason, requestId: said.request_id,
    confidence: said.confidence, costNanousd: isWorking ? undefined : said.cost_nanousd,
    finish: found.incomplete_details?.reason === "max_output_tokens" ? "length" : undefined,
    trouble: found.error?.message ?? { max_cost: "What was set aside for it did not cover an answer.", max_time: "Its time was over before there was an answer." }[found.incomplete_details?.reason] ?? "No answer came of it.",
    job: { id: found.id, isQueued: found.status === "queued", ahead: said.queue_position, progress: said.progress, quote: said.quote },
  };
}

export function remember(job) {
  keep([...remembered().filter((one) => one.id !== job.id), job]);
}

export function forget(id) {
  keep(remembered().filter((one) => one.id !== id));
}

export function forgetAll() {
  keep([]);
}

export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function keep(jobs) {
  try {
    if (jobs.length) localStorage.setItem(KEY, JSON.stringify(jobs));
    else localStorage.removeItem(KEY);
  } catch {
    // Not allowed: such a job is found again in this tab only.
  }
}
