// The upstream of the SDK suites: a mock of OpenAI that others wrote, with replies to the prompts
// that every suite uses, whatever its language.

import { LLMock } from "@copilotkit/aimock";

import { CANARY } from "./canary.mjs";

export const MODEL = "openai/gpt-4o-mini";
/** What the mock reports for CHAT. */
export const USAGE = { prompt_tokens: 2000, completion_tokens: 300, total_tokens: 2300 };
export const PERSON = { name: "Ada", age: 36 };

export const WEATHER_TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
export const PERSON_FORMAT = {
  type: "json_schema",
  json_schema: {
    name: "person",
    strict: true,
    schema: {
      type: "object",
      properties: { name: { type: "string" }, age: { type: "integer" } },
      required: ["name", "age"],
      additionalProperties: false,
    },
  },
};

const weather = (city, id) => ({ id, name: "get_weather", arguments: JSON.stringify({ city }) });

export async function startMock() {
  const mock = new LLMock({ port: 0, host: "127.0.0.1" });
  mock.onMessage("CHAT", { content: `The ${CANARY.reply} is here: 🌍 世界`, usage: USAGE });
  mock.onMessage("PERSON", { content: JSON.stringify(PERSON), usage: USAGE });
  mock.onMessage("IMAGE", { content: "A small square.", usage: USAGE });
  mock.on({ userMessage: "WEATHER ONE", hasToolResult: true }, { content: "Sunny in Paris." });
  mock.on({ userMessage: "WEATHER ONE" }, { toolCalls: [weather("Paris", "call_paris")], usage: USAGE });
  mock.on(
    { userMessage: "WEATHER TWO" },
    { toolCalls: [weather("Paris", "call_paris"), weather("Rome", "call_rome")], usage: USAGE },
  );
  mock.onMessage("LONG", { content: "word ".repeat(400), usage: USAGE }, { latency: 20, chunkSize: 5 });
  for (const status of [400, 429, 500, 503]) {
    mock.onMessage(`ERR${status}`, { error: { message: `mocked ${status}`, type: "mocked" }, status });
  }
  await mock.start();
  return mock;
}
