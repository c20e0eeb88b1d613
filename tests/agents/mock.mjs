// The upstream of the agents: a mock that others wrote and that speaks every protocol, with a
// model's part in short sessions. Which step of a session is due is told by the tool results that
// the request already holds, so that it does not matter how an agent wraps its prompt.

import { LLMock } from "@copilotkit/aimock";

/** What every reply reports, whatever the protocol. */
export const USAGE = { prompt_tokens: 1200, completion_tokens: 40, total_tokens: 1240 };
/** Anthropic's seal on a thought: it must come back as it was given. */
export const SIGNATURE = "EqQBCgIYAhIkMillraceAgentTestSignature0123456789abcdefABCDEF==";
export const LONG = "word ".repeat(200);
export const BEFORE = "colour: grey\n";
export const AFTER = "colour: blue\n";

const NOTE = /(\/\S+\/note\.txt)/;

/** Prompts, each with the steps that the model takes: functions of the path in the prompt. */
const SESSIONS = {
  CLAUDE_EDIT: [
    (path) => ({ ...says("I read the note.", call("Read", { file_path: path })), ...thought }),
    (path) => ({
      ...says("I change the colour.", call("Edit", { file_path: path, old_string: "grey", new_string: "blue" })),
      ...thought,
    }),
    () => says("The note is blue now."),
  ],
  CLAUDE_PARALLEL: [
    (path) => says("I look twice.", call("Read", { file_path: path }), call("Read", { file_path: path, limit: 1 })),
    () => says("I have seen both."),
  ],
  CLAUDE_IMAGE: [
    (path) => says("I look at the picture.", call("Read", { file_path: path.replace("note.txt", "dot.png") })),
    () => says("It is a dot."),
  ],
  CLAUDE_STRUCTURED: [() => says("It is grey.", call("StructuredOutput", { colour: "grey" })), () => says("Done.")],
  CODEX_EDIT: [
    (path) => says("I read the note.", call("exec_command", { cmd: `cat ${path}` })),
    (path) => says("I change the colour.", call("exec_command", { cmd: `sed -i s/grey/blue/ ${path}` })),
    () => says("The note is blue now."),
  ],
  // What a model that knows only functions makes of a tool that takes free text.
  CODEX_PATCH: [
    (path) => says("I patch the note.", call("apply_patch", { input: patch(path) })),
    () => says("The note is blue now."),
  ],
  HELLO: [() => says("Hello, agent. 世界 🌍")],
};

/** How vendors word that a prompt is too long. */
const OVERFLOWS = {
  TOO_LONG_ANTHROPIC: {
    type: "invalid_request_error",
    message: "prompt is too long: 210000 tokens > 200000 maximum",
  },
  TOO_LONG_OPENAI: {
    type: "invalid_request_error",
    code: "context_length_exceeded",
    param: "messages",
    message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
  },
};

const thought = { reasoning: "The note has to be looked at.", reasoningSignature: SIGNATURE };

export async function startMock() {
  const mock = new LLMock({ port: 0, host: "127.0.0.1" });
  for (const status of [400, 401, 402, 403, 404, 429, 500, 529]) {
    const reply = { error: { message: `mocked ${status}`, type: "mocked_error" }, status };
    mock.on({ predicate: (request) => textOf(request).includes(`ERR${status}`) }, reply);
  }
  for (const [prompt, error] of Object.entries(OVERFLOWS)) {
    mock.on({ predicate: (request) => textOf(request).includes(prompt) }, { error, status: 400 });
  }
  // Breaks off where it is streamed.
  const broken = { latency: 5, truncateAfterChunks: 6 };
  mock.on({ predicate: (request) => textOf(request).includes("BROKEN") }, says(LONG), broken);
  for (const [prompt, steps] of Object.entries(SESSIONS)) {
    mock.on({ predicate: (request) => textOf(request).includes(prompt) }, (request) => {
      const done = request.messages.filter(({ role }) => role === "tool").length;
      const step = steps[Math.min(done, steps.length - 1)];
      return step(NOTE.exec(textOf(request))?.[1]);
    });
  }
  // Agents ask for titles and the like on the side.
  mock.onMessage(/[^]*/, says("Something else."));
  await mock.start();
  return mock;
}

function says(content, ...toolCalls) {
  return { content, ...(toolCalls.length > 0 && { toolCalls }), usage: USAGE };
}

function call(name, input) {
  return { name, arguments: JSON.stringify(input) };
}

function patch(path) {
  return `*** Begin Patch\n*** Update File: ${path}\n@@\n-${BEFORE}+${AFTER}*** End Patch\n`;
}

function textOf({ messages = [] }) {
  const user = messages.filter(({ role }) => role === "user");
  return user.map(({ content }) => (typeof content === "string" ? content : JSON.stringify(content))).join("\n");
}
