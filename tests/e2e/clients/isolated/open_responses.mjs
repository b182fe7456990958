// Open Responses: the AI SDK's client for it, unmodified, and what its specification says a response and its events have.
// Run with `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const base = process.env.TIERWISE_TEST_URL.replace(/\/(v1\/?)?$/, "");
const apiKey = process.env.TIERWISE_TEST_KEY;
const url = `${base}/v1/responses`;
const tierwise = createOpenResponses({ name: "tierwise", url, apiKey });
const prompt = "What is the weather in Paris?";
const maxRetries = 0;

const status = z.enum(["in_progress", "completed", "incomplete"]);
const part = z.union([
  z.object({ type: z.literal("output_text"), text: z.string(), annotations: z.array(z.any()), logprobs: z.array(z.any()) }),
  z.object({ type: z.literal("refusal"), refusal: z.string() }),
]);
const item = z.union([
  z.object({ type: z.literal("message"), id: z.string(), status, role: z.literal("assistant"), content: z.array(part) }),
  z.object({ type: z.literal("function_call"), id: z.string(), call_id: z.string(), name: z.string(), arguments: z.string(), status }),
  z.object({ type: z.literal("reasoning"), id: z.string(), summary: z.array(z.any()), encrypted_content: z.string().optional() }),
]);
const functionTool = z.object({
  type: z.literal("function"),
  name: z.string(),
  description: z.string().nullable(),
  parameters: z.record(z.string(), z.any()).nullable(),
  strict: z.boolean().nullable(),
});
const resource = z.object({
  id: z.string(),
  object: z.literal("response"),
  created_at: z.number().int(),
  completed_at: z.number().int().nullable(),
  status: z.string(),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  model: z.string(),
  previous_response_id: z.string().nullable(),
  instructions: z.string().nullable(),
  output: z.array(item),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  tools: z.array(functionTool),
  tool_choice: z.union([z.enum(["none", "auto", "required"]), z.object({ type: z.string() })]),
  truncation: z.enum(["auto", "disabled"]),
  parallel_tool_calls: z.boolean(),
  text: z.object({ format: z.object({ type: z.string() }) }),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: z.number().int(),
  temperature: z.number(),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }).nullable(),
  usage: z
    .object({
      input_tokens: z.number().int(),
      output_tokens: z.number().int(),
      total_tokens: z.number().int(),
      input_tokens_details: z.object({ cached_tokens: z.number().int() }),
      output_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
    })
    .nullable(),
  max_output_tokens: z.number().int().nullable(),
  max_tool_calls: z.number().int().nullable(),
  store: z.boolean(),
  background: z.boolean(),
  service_tier: z.string(),
  metadata: z.any(),
  safety_identifier: z.string().nullable(),
  prompt_cache_key: z.string().nullable(),
  user: z.string().optional(),
});
const message = (role, content) => ({ type: "message", role, content });
const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const picture = { type: "input_image", image_url: "data:image/png;base64,iVBORw0KGgo=" };
const templates = {
  "a text": { input: [message("user", "Say hello in three words.")] },
  "a system prompt": { input: [message("system", "You are a pirate."), message("user", "Say hello.")] },
  "a tool": { input: [message("user", prompt)], tools: [weather] },
  "a picture": { input: [message("user", [{ type: "input_text", text: "What is it?" }, picture])] },
  "several turns": {
    input: [message("user", "My name is Alice."), message("assistant", "Hello Alice!"), message("user", "What is my name?")],
  },
  thinking: { input: [message("user", prompt)], model: "reasoning" },
};
const ask = (body) =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ model: "fast", ...body }),
  });

for (const [name, body] of Object.entries(templates)) {
  test(`${name} keeps to the specification [responses]`, async () => {
    const made = resource.parse(await (await ask(body)).json());
    assert.equal(made.status, "completed");
    assert.ok(made.output.length > 0);
    if (body.tools) assert.equal(made.output.at(-1).type, "function_call");
  });

  test(`${name}, streamed, keeps to the specification [responses stream]`, async () => {
    const text = await (await ask({ ...body, stream: true })).text();
    const events = text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
    events.forEach((event, place) => assert.equal(event.sequence_number, place));
    for (const event of events) if (event.response) resource.parse(event.response);
    for (const event of events) if (event.type === "response.output_item.done") item.parse(event.item);
    for (const event of events) if (event.type === "response.output_text.delta") assert.ok(Array.isArray(event.logprobs));
    assert.equal(events.at(-1).type, "response.completed");
    const kinds = events.map((event) => event.type);
    if (body.tools) assert.ok(kinds.includes("response.function_call_arguments.delta"));
    if (body.tools) assert.ok(kinds.includes("response.function_call_arguments.done"));
  });
}

for (const name of ["auto", "fast", "reasoning", "parallel"]) {
  test(`${name}: generateText [responses usage]`, async () => {
    const made = await generateText({ model: tierwise(name), prompt, maxRetries });
    assert.ok(made.text);
    assert.ok(made.usage.totalTokens > 0);
  });

  test(`${name}: streamText [responses stream]`, async () => {
    const made = streamText({ model: tierwise(name), prompt, maxRetries });
    let text = "";
    for await (const piece of made.textStream) text += piece;
    assert.ok(text);
    assert.equal(await made.finishReason, "stop");
  });
}

test("tool round trip [responses tools]", async () => {
  const called = [];
  const tools = {
    weather: tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => called.push(city) && "18 degrees",
    }),
  };
  const made = await generateText({ model: tierwise("fast"), prompt, maxRetries, tools, stopWhen: stepCountIs(3) });
  assert.equal(called.length, 1);
  assert.match(made.text, /18 degrees/);
});
