// What the page asks of its own server: streams of answers, quotes, ratings. Nothing is sent anywhere else.

import { trouble } from "./words.js";

const API = "/chat/api";
const CSRF = document.querySelector("meta[name=csrf]").content;

// Something that went wrong; its message is a sentence for whoever asked.
export class Trouble extends Error {
  constructor(message, { isOver = false, isGone = false } = {}) {
    super(message);
    this.isOver = isOver; // the session has ended
    this.isGone = isGone; // what was asked for is not there
  }
}

export async function send(path, body, { method = "POST", signal } = {}) {
  const options = { method, signal, credentials: "same-origin", headers: { accept: "application/json", "x-csrf-token": CSRF } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let reply;
  try {
    reply = await fetch(API + path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(navigator.onLine ? "The server does not answer. Try again in a moment." : "You are offline. Try again once you are connected.");
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => null);
  throw new Trouble(trouble(reply.status, said?.error, reply.headers.get("retry-after")), { isOver: reply.status === 401, isGone: reply.status === 404 });
}

export async function quote(messages) {
  const reply = await send("/quotes", { model: "auto", messages });
  const found = await reply.json();
  return { auto: found.auto.tier, tiers: Object.fromEntries(found.tiers.map((one) => [one.tier, one])) };
}

export async function rate(request_id, rating) {
  await send("/feedback", { request_id, rating });
}

// Streams one answer; `hear` is told of each step: {tier, reason, requestId}, {thinking}, {text}, {explained}, {finish}.
export async function ask({ messages, model, conversation, signal }, hear) {
  const body = { model, messages, stream: true, metadata: { conversation_id: conversation } };
  const reply = await send("/chat/completions", body, { signal });
  hear({ tier: reply.headers.get("x-tierwise-tier"), reason: reply.headers.get("x-tierwise-reason"), requestId: reply.headers.get("x-request-id") });
  let isWhole = false;
  for await (const event of events(reply)) {
    if (event === "[DONE]") isWhole = true;
    else hearChunk(JSON.parse(event), hear);
  }
  if (!isWhole) throw new Trouble("The answer broke off: the connection was lost. Try again.");
}

function hearChunk(chunk, hear) {
  if (chunk.error) throw new Trouble(`The answer broke off. ${trouble(502, chunk.error)}`);
  const choice = chunk.choices?.[0];
  if (choice?.delta?.reasoning_content) hear({ thinking: choice.delta.reasoning_content });
  if (choice?.delta?.content) hear({ text: choice.delta.content });
  if (choice?.delta?.refusal) hear({ text: choice.delta.refusal });
  if (choice?.finish_reason) hear({ finish: choice.finish_reason });
  if (chunk.x_tierwise) hear({ explained: chunk.x_tierwise });
}

// The data of server-sent events, one by one; comments are signs of life and are left out.
export async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const whole = (rest + value).split(/\r?\n\r?\n/);
      rest = whole.pop();
      for (const event of whole) {
        const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (lines.length) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
      }
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The answer broke off: the connection was lost. Try again.");
  } finally {
    reader.cancel().catch(() => {});
  }
}
