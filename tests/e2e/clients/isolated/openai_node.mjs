// openai-node, unmodified, pointed at the served instance. Run with `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const baseURL = `${process.env.TIERWISE_TEST_URL.replace(/\/(v1\/?)?$/, "")}/v1`;
const apiKey = process.env.TIERWISE_TEST_KEY;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const Person = z.object({ name: z.string(), age: z.number() });

for (const model of ["auto", "fast", "reasoning", "parallel"]) {
  test(`${model}: completion [messages usage]`, async () => {
    const made = await client.chat.completions.create({ model, messages });
    assert.equal(made.object, "chat.completion");
    assert.equal(made.model, model);
    assert.equal(made.choices[0].finish_reason, "stop");
    assert.ok(made.choices[0].message.content);
    assert.equal(made.usage.total_tokens, made.usage.prompt_tokens + made.usage.completion_tokens);
    assert.ok(made._request_id);
  });

  test(`${model}: stream [stream stream_options]`, async () => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
    assert.ok(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""));
  });

  test(`${model}: stream helper [stream]`, async () => {
    const runner = client.chat.completions.stream({ model, messages });
    let text = "";
    runner.on("content", (delta) => (text += delta));
    assert.equal(await runner.finalContent(), text);
    assert.equal((await runner.finalChatCompletion()).choices[0].finish_reason, "stop");
  });

  test(`${model}: tool runner [tools]`, async () => {
    const called = [];
    const runner = client.chat.completions.runTools({
      model,
      messages,
      tools: [
        {
          type: "function",
          function: {
            ...tools[0].function,
            parse: JSON.parse,
            function: ({ city }) => {
              called.push(city);
              return "18 degrees";
            },
          },
        },
      ],
    });
    assert.match(await runner.finalContent(), /18 degrees/);
    assert.equal(called.length, 1);
  });

  test(`${model}: parse [response_format]`, async () => {
    const response_format = zodResponseFormat(Person, "person");
    const made = await client.chat.completions.parse({ model, messages, response_format });
    assert.equal(typeof made.choices[0].message.parsed.name, "string");
    assert.equal(typeof made.choices[0].message.parsed.age, "number");
  });

  test(`${model}: streamed tool call [tools stream]`, async () => {
    const runner = client.chat.completions.stream({ model, messages, tools });
    const made = await runner.finalChatCompletion();
    assert.equal(made.choices[0].finish_reason, "tool_calls");
    assert.ok("city" in JSON.parse(made.choices[0].message.tool_calls[0].function.arguments));
  });
}

test("raw response and headers [x-tierwise-* x-request-id]", async () => {
  const { data, response } = await client.chat.completions.create({ model: "auto", messages }).withResponse();
  assert.ok(data.choices[0].message.content);
  for (const name of ["tier", "reason", "score", "policy", "overhead-ms"]) {
    assert.ok(response.headers.get(`x-tierwise-${name}`), name);
  }
});

test("models [models]", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  for (const name of ["auto", "fast", "reasoning", "parallel"]) assert.ok(names.includes(name));
  assert.equal((await client.models.retrieve("auto")).id, "auto");
});

test("a stream may be aborted [stream]", async () => {
  const stream = await client.chat.completions.create({ model: "auto", messages, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    break;
  }
  stream.controller.abort();
  assert.ok((await client.chat.completions.create({ model: "auto", messages })).id);
});

for (const [what, options, kind] of [
  ["unknown model", { model: "nothing", messages }, OpenAI.NotFoundError],
  ["no messages", { model: "auto", messages: [] }, OpenAI.BadRequestError],
  ["wrong temperature", { model: "auto", messages, temperature: 9 }, OpenAI.BadRequestError],
  ["limited provider", { model: "limited", messages }, OpenAI.RateLimitError],
  ["limited provider, streamed", { model: "limited", messages, stream: true }, OpenAI.RateLimitError],
]) {
  test(`error: ${what} [errors]`, async () => {
    await assert.rejects(client.chat.completions.create(options), (error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.ok(error.requestID);
      return true;
    });
  });
}

test("error: unknown key [errors]", async () => {
  const stranger = new OpenAI({ baseURL, apiKey: "tw-wrong", maxRetries: 0 });
  await assert.rejects(stranger.chat.completions.create({ model: "auto", messages }), OpenAI.AuthenticationError);
});

test("error: in a stream [errors stream]", async () => {
  const stream = await client.chat.completions.create({ model: "broken", messages, stream: true });
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk.id);
  }, OpenAI.APIError);
});
