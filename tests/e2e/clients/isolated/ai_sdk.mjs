// The Vercel AI SDK with @ai-sdk/openai-compatible, unmodified. Run with `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

const tierwise = createOpenAICompatible({
  name: "tierwise",
  baseURL: `${process.env.TIERWISE_TEST_URL.replace(/\/(v1\/?)?$/, "")}/v1`,
  apiKey: process.env.TIERWISE_TEST_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const prompt = "What is the weather in Paris?";
const schema = z.object({ name: z.string(), age: z.number() });
const maxRetries = 0;

for (const name of ["auto", "fast", "reasoning", "parallel"]) {
  const model = tierwise(name);

  test(`${name}: generateText [messages usage]`, async () => {
    const made = await generateText({ model, prompt, maxRetries });
    assert.ok(made.text);
    assert.equal(made.finishReason, "stop");
    assert.ok(made.usage.totalTokens > 0);
  });

  test(`${name}: streamText [stream stream_options usage]`, async () => {
    const made = streamText({ model, prompt, maxRetries });
    let text = "";
    for await (const part of made.textStream) text += part;
    assert.ok(text);
    assert.equal(await made.finishReason, "stop");
    assert.ok((await made.usage).totalTokens > 0);
  });

  test(`${name}: tool round trip [tools]`, async () => {
    const called = [];
    const weather = tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        called.push(city);
        return "18 degrees";
      },
    });
    const made = await generateText({ model, prompt, maxRetries, tools: { weather }, stopWhen: stepCountIs(3) });
    assert.equal(called.length, 1);
    assert.match(made.text, /18 degrees/);
  });

  test(`${name}: streamed tool round trip [tools stream]`, async () => {
    const called = [];
    const weather = tool({
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => called.push(city) && "18 degrees",
    });
    const made = streamText({ model, prompt, maxRetries, tools: { weather }, stopWhen: stepCountIs(3) });
    assert.match(await made.text, /18 degrees/);
    assert.equal(called.length, 1);
  });

  test(`${name}: generateObject [response_format]`, async () => {
    const { object } = await generateObject({ model, schema, prompt, maxRetries });
    assert.equal(typeof object.name, "string");
  });

  test(`${name}: streamObject [response_format stream]`, async () => {
    const made = streamObject({ model, schema, prompt, maxRetries });
    const parts = [];
    for await (const part of made.partialObjectStream) parts.push(part);
    assert.deepEqual(parts.at(-1), await made.object);
  });
}

test("thinking is reasoning [reasoning_content]", async () => {
  const made = await generateText({ model: tierwise("reasoning"), prompt, maxRetries });
  assert.ok(made.reasoningText);
  assert.ok(!made.text.includes(made.reasoningText));
  const streamed = streamText({ model: tierwise("reasoning"), prompt, maxRetries });
  assert.ok(await streamed.reasoningText);
});

test("a picture is seen [image_url]", async () => {
  const image = Buffer.from("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==", "base64");
  const content = [{ type: "text", text: "What is this?" }, { type: "image", image, mediaType: "image/gif" }];
  const made = await generateText({ model: tierwise("auto"), messages: [{ role: "user", content }], maxRetries });
  assert.match(made.text, /1 image/);
});

for (const [what, name, status] of [["unknown model", "nothing", 404], ["limited provider", "limited", 429]]) {
  test(`error: ${what} [errors]`, async () => {
    await assert.rejects(generateText({ model: tierwise(name), prompt, maxRetries }), (error) => {
      assert.equal(error.statusCode, status);
      return true;
    });
  });
}

test("settings are passed [temperature max_tokens stop seed]", async () => {
  const made = await generateText({
    model: tierwise("fast"),
    prompt,
    maxRetries,
    temperature: 0.3,
    maxOutputTokens: 4,
    seed: 5,
    stopSequences: ["zzz"],
  });
  assert.equal(made.finishReason, "length");
});
