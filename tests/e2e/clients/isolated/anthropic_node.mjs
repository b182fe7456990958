// Anthropic's own client for TypeScript, unmodified, pointed at the served instance. Run with `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

const baseURL = process.env.TIERWISE_TEST_URL.replace(/\/(v1\/?)?$/, "");
const apiKey = process.env.TIERWISE_TEST_KEY;
const claude = process.env.TIERWISE_TEST_CLAUDE_URL;
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const weather = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const step = { name: "step", description: "Go on", input_schema: { type: "object", properties: {} } };

for (const model of ["auto", "fast", "reasoning", "parallel"]) {
  test(`${model}: message [messages-api usage]`, async () => {
    const made = await client.messages.create({ model, max_tokens: 2000, messages });
    assert.equal(made.type, "message");
    assert.equal(made.model, model);
    assert.equal(made.stop_reason, "end_turn");
    assert.ok(made.content.at(-1).text);
    assert.ok(made.usage.input_tokens > 0 && made.usage.output_tokens > 0);
    assert.ok(made._request_id);
  });

  test(`${model}: stream [messages-api stream]`, async () => {
    const stream = client.messages.stream({ model, max_tokens: 2000, messages });
    let text = "";
    stream.on("text", (delta) => (text += delta));
    const made = await stream.finalMessage();
    assert.ok(text.endsWith(made.content.at(-1).text));
    assert.equal(made.stop_reason, "end_turn");
    assert.ok(made.usage.input_tokens > 0);
  });
}

test("raw events [stream]", async () => {
  const kinds = [];
  for await (const event of await client.messages.create({ model: "fast", max_tokens: 99, messages, stream: true })) {
    kinds.push(event.type);
  }
  assert.deepEqual(kinds.slice(0, 2), ["message_start", "content_block_start"]);
  assert.deepEqual(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
});

for (const streamed of [false, true]) {
  test(`tool round trip, streamed ${streamed} [tools]`, async () => {
    const turns = [...messages];
    const ask = () => {
      const asked = { model: "fast", max_tokens: 500, tools: [weather], messages: turns };
      return streamed ? client.messages.stream(asked).finalMessage() : client.messages.create(asked);
    };
    const first = await ask();
    assert.equal(first.stop_reason, "tool_use");
    const call = first.content.find((block) => block.type === "tool_use");
    assert.deepEqual(call.input, { city: "Paris" });
    turns.push({ role: "assistant", content: first.content });
    turns.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "18 degrees" }] });
    assert.match((await ask()).content.at(-1).text, /18 degrees/);
  });
}

test("thinking is a block with a signature [reasoning_content]", async () => {
  const thinking = { type: "enabled", budget_tokens: 1500 };
  const made = await client.messages.create({ model: "reasoning", max_tokens: 3000, messages, thinking });
  assert.equal(made.content[0].type, "thinking");
  assert.ok(made.content[0].signature);
});

test("tokens are counted [count_tokens]", async () => {
  assert.ok((await client.messages.countTokens({ model: "auto", messages })).input_tokens > 0);
});

test("models are listed [models]", async () => {
  const listed = [];
  for await (const model of client.models.list()) listed.push(model.id);
  assert.ok(listed.includes("auto"));
  assert.equal((await client.models.retrieve("auto")).type, "model");
});

test("a stream may be aborted [stream]", async () => {
  const stream = await client.messages.create({ model: "slow", max_tokens: 99, messages, stream: true });
  stream.controller.abort();
});

for (const [model, status, kind] of [
  ["gpt-9", 404, "not_found_error"],
  ["limited", 429, "rate_limit_error"],
  ["refused", 400, "invalid_request_error"],
  ["down", 529, "overloaded_error"],
]) {
  for (const stream of [false, true]) {
    test(`error: ${model}, streamed ${stream} [errors]`, async () => {
      await assert.rejects(client.messages.create({ model, max_tokens: 9, messages, stream }), (error) => {
        assert.equal(error.status, status);
        assert.equal(error.error.error.type, kind);
        return true;
      });
    });
  }
}

test("error: in a stream [errors stream]", async () => {
  const stream = await client.messages.create({ model: "broken", max_tokens: 9, messages, stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  });
});

test("error: unknown key [errors]", async () => {
  const other = new Anthropic({ baseURL, apiKey: "tw-unknown", maxRetries: 0 });
  await assert.rejects(other.messages.create({ model: "fast", max_tokens: 9, messages }), { status: 401 });
});

test("an agent works for two hundred turns [tools thinking-signatures]", { skip: !claude }, async () => {
  const tally = async () => (await fetch(`${claude}/tally`)).json();
  const before = await tally();
  const turns = [{ role: "user", content: "Please loop 600, one step at a time." }];
  const thinking = { type: "enabled", budget_tokens: 2000 };
  for (let turn = 0; turn < 200; turn++) {
    const asked = { model: "claude", max_tokens: 4000, messages: turns, tools: [step], thinking };
    const made = turn % 2 ? await client.messages.create(asked) : await client.messages.stream(asked).finalMessage();
    turns.push({ role: "assistant", content: made.content });
    const calls = made.content.filter((block) => block.type === "tool_use");
    const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "done" }));
    turns.push({ role: "user", content: results });
  }
  const after = await tally();
  assert.deepEqual(after.refused, before.refused);
  assert.equal(after.answered, before.answered + 200);
});
