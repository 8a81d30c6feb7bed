/**
 * The cases of the Open Responses conformance suite (openresponses.org, specification 2026-04-24)
 * that need a server, written anew: nine over HTTP, seven over WebSocket. Runnable against any
 * URL. The suite's seventeenth case validates a fixture against its own schema and asks no server.
 */
import { WebSocket } from "ws";
import { type Problems, responseProblems, usageProblems } from "./open-responses-schema.ts";
import { type Fields, isFields } from "./scene.ts";

export interface Server {
  /** With the `/v1`. */
  baseUrl: string;
  key: string;
  model: string;
}

export interface Case {
  id: string;
  overWebSocket: boolean;
  run(server: Server): Promise<Problems>;
}

const ANSWER_MS = 10_000;

const completed = (response: Fields): Problems =>
  response.status === "completed" ? [] : [`status: ${String(response.status)}`];

const says = (response: Fields): Problems =>
  Array.isArray(response.output) && response.output.length > 0 ? [] : ["output: empty"];

const speaks = (type: string) => (response: Fields) => {
  const output = Array.isArray(response.output) ? (response.output as Fields[]) : [];
  return output.some((item) => item.type === type) ? [] : [`output: no ${type}`];
};

const message = (role: string, content: unknown, more: Fields = {}): Fields => ({
  ...{ type: "message", role, content },
  ...more,
});

async function post(server: Server, path: string, body: Fields): Promise<globalThis.Response> {
  return fetch(`${server.baseUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${server.key}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
}

type Check = (response: Fields, events: Fields[]) => Problems;

/** One plain answer. */
function plain(id: string, input: unknown, checks: Check[], more: Fields = {}): Case {
  const run = async (server: Server): Promise<Problems> => {
    const answer = await post(server, "/responses", { model: server.model, input, ...more });
    if (answer.status !== 200) return [`status ${answer.status}: ${await answer.text()}`];
    const response = (await answer.json()) as Fields;
    return [...responseProblems(response), ...checks.flatMap((check) => check(response, []))];
  };
  return { id, overWebSocket: false, run };
}

/** One answer as an event stream. */
function streamed(id: string, input: unknown, checks: Check[], more: Fields = {}): Case {
  const run = async (server: Server): Promise<Problems> => {
    const body = { model: server.model, input, stream: true, ...more };
    const answer = await post(server, "/responses", body);
    if (answer.status !== 200) return [`status ${answer.status}: ${await answer.text()}`];
    const type = answer.headers.get("content-type") ?? "";
    const problems = type.startsWith("text/event-stream") ? [] : [`content-type: ${type}`];
    const events: Fields[] = [];
    for (const block of (await answer.text()).split("\n\n")) {
      const data = /^data: ?(.*)$/m.exec(block)?.[1];
      if (data === undefined || data === "[DONE]") continue;
      const event = JSON.parse(data) as Fields;
      const name = /^event: ?(.*)$/m.exec(block)?.[1];
      if (name !== event.type) problems.push(`event: ${name} holds ${String(event.type)}`);
      events.push(event);
    }
    return [...problems, ...turnProblems(events, checks)];
  };
  return { id, overWebSocket: false, run };
}

/** Order, numbers and the last response of one turn's events. */
function turnProblems(events: readonly Fields[], checks: Check[]): Problems {
  const problems: Problems = [];
  if (events[0]?.type !== "response.created") problems.push("first event: not response.created");
  let before = -1;
  for (const { sequence_number: at, type } of events) {
    if (!(Number.isInteger(at) && (at as number) > before)) {
      problems.push(`${String(type)}: sequence_number ${String(at)} behind ${before}`);
    }
    before = Number(at);
  }
  const last = events.at(-1);
  if (!/^response\.(completed|incomplete|failed)$/.test(String(last?.type))) {
    return [...problems, `last event: ${String(last?.type)}`];
  }
  const response = last?.response as Fields;
  return [
    ...problems,
    ...responseProblems(response),
    ...checks.flatMap((check) => check(response, [...events])),
  ];
}

const hasEvents =
  (...types: string[]): Check =>
  (_, events) =>
    types
      .filter((type) => !events.some((event) => event.type === type))
      .map((type) => `no ${type}`);

const callItems: Check = (_, events) =>
  ["response.output_item.added", "response.output_item.done"]
    .filter(
      (type) => !events.some((event) => event.type === type && itemType(event) === "function_call"),
    )
    .map((type) => `no ${type} of a function_call`);

const itemType = (event: Fields): unknown => (isFields(event.item) ? event.item.type : undefined);

interface Turn {
  events: Fields[];
  /** Of the last event; undefined when it was an error. */
  response: Fields | undefined;
  errorCode: string | undefined;
}

/** One connection; turns one after another. */
class Socket {
  readonly #socket: WebSocket;
  readonly #frames: Fields[] = [];
  #wake: (() => void) | undefined;
  #ended: string | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (bytes) => {
      this.#frames.push(JSON.parse(String(bytes)) as Fields);
      this.#wake?.();
    });
    socket.on("close", (code) => {
      this.#ended = `closed with ${code}`;
      this.#wake?.();
    });
  }

  static open({ baseUrl, key }: Server): Promise<Socket> {
    const url = `${baseUrl.replace(/^http/, "ws")}/responses`;
    const headers = { authorization: `Bearer ${key}` };
    const socket = new WebSocket(url, { headers, handshakeTimeout: ANSWER_MS });
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(new Socket(socket)));
      socket.on("error", reject);
    });
  }

  /** @throws Error when the turn has no end within the time */
  async turn(body: Fields): Promise<Turn> {
    this.#socket.send(JSON.stringify({ type: "response.create", ...body }));
    const events: Fields[] = [];
    const end = performance.now() + ANSWER_MS;
    for (;;) {
      const event = await this.#next(end);
      events.push(event);
      if (event.type === "error") {
        const errorCode = String(isFields(event.error) ? event.error.code : event.code);
        return { events, response: undefined, errorCode };
      }
      if (/^response\.(completed|incomplete|failed)$/.test(String(event.type))) {
        return { events, response: event.response as Fields, errorCode: undefined };
      }
    }
  }

  async #next(end: number): Promise<Fields> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#ended !== undefined) throw new Error(this.#ended);
      const leftMs = end - performance.now();
      if (leftMs <= 0) throw new Error("no end of the turn");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.readyState === WebSocket.CLOSED) return resolve();
      this.#socket.once("close", () => resolve());
      this.#socket.close();
    });
  }
}

function overSocket(id: string, talk: (socket: Socket, server: Server) => Promise<Problems>): Case {
  const run = async (server: Server): Promise<Problems> => {
    const socket = await Socket.open(server);
    try {
      return await talk(socket, server);
    } finally {
      await socket.close();
    }
  };
  return { id, overWebSocket: true, run };
}

const good = ({ events, errorCode }: Turn): Problems =>
  errorCode === undefined ? turnProblems(events, [completed, says]) : [`error: ${errorCode}`];

const notFound = ({ errorCode }: Turn): Problems =>
  errorCode === "previous_response_not_found" ? [] : [`error.code: ${String(errorCode)}`];

const seed = { store: false, input: "Remember the word 'ember' and say OK." };
const follow = (turn: Turn, input: unknown): Fields => ({
  ...{ store: false, previous_response_id: turn.response?.id, input },
});

const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "The weather at a place",
  parameters: {
    type: "object",
    properties: { location: { type: "string", description: "City and country" } },
    required: ["location"],
  },
};
/** One transparent pixel. */
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhg" +
  "GAWjR9awAAAABJRU5ErkJggg==";

const CONVERSATION = [
  message("user", "We start on Tuesday and tell support first."),
  message("assistant", "Noted: Tuesday, support first."),
];

async function compact(server: Server, body: Fields): Promise<globalThis.Response> {
  return post(server, "/responses/compact", body);
}

async function compacted(server: Server): Promise<Fields> {
  const answer = await compact(server, { model: server.model, input: CONVERSATION });
  return (await answer.json()) as Fields;
}

const HTTP_CASES: Case[] = [
  plain("basic-response", [message("user", "Say hello in three words.")], [says, completed]),
  plain(
    "assistant-phase",
    [
      message("assistant", "I should give the number.", { phase: "commentary" }),
      message("assistant", "It is four.", { phase: "final_answer" }),
      message("user", "Only the number, please."),
    ],
    [says, completed],
  ),
  streamed(
    "streaming-response",
    [message("user", "Count to five.")],
    [completed, hasEvents("response.created", "response.output_text.delta")],
  ),
  plain(
    "system-prompt",
    [message("system", "You are a pirate."), message("user", "Say hello.")],
    [says, completed],
  ),
  plain(
    "tool-calling",
    [message("user", "How is the weather in Bern?")],
    [speaks("function_call")],
    {
      tools: [WEATHER],
    },
  ),
  streamed(
    "tool-calling-streaming",
    [message("user", "How is the weather in Bern?")],
    [
      callItems,
      hasEvents("response.function_call_arguments.delta", "response.function_call_arguments.done"),
    ],
    { tools: [WEATHER] },
  ),
  plain(
    "image-input",
    [
      message("user", [
        { type: "input_text", text: "What is in this image?" },
        { type: "input_image", image_url: PIXEL },
      ]),
    ],
    [says, completed],
  ),
  plain(
    "multi-turn",
    [
      message("user", "My name is Ada."),
      message("assistant", "Hello Ada."),
      message("user", "What is my name?"),
    ],
    [says, completed],
  ),
  {
    id: "compact-response",
    overWebSocket: false,
    run: async (server) => {
      const key = { prompt_cache_key: "compact" };
      const answer = await compact(server, { model: server.model, input: CONVERSATION, ...key });
      if (answer.status !== 200) return [`status ${answer.status}: ${await answer.text()}`];
      const body = (await answer.json()) as Fields;
      const named = body.object === "response.compaction" ? [] : [`object: ${String(body.object)}`];
      const dated = Number.isInteger(body.created_at) ? [] : ["created_at: no integer"];
      return [...named, ...dated, ...speaks("compaction")(body), ...usageProblems(body.usage)];
    },
  },
  {
    id: "compact-missing-model",
    overWebSocket: false,
    run: async (server) => {
      const { status } = await compact(server, { input: CONVERSATION });
      return status === 400 || status === 422 ? [] : [`status ${status}`];
    },
  },
];

const SOCKET_CASES: Case[] = [
  overSocket("websocket-response", async (socket, { model }) =>
    good(await socket.turn({ model, store: false, input: [message("user", "Count to three.")] })),
  ),
  overSocket("websocket-sequential-responses", async (socket, { model }) => {
    const first = await socket.turn({ model, store: false, input: "Say: first" });
    const second = await socket.turn({ model, store: false, input: "Say: second" });
    const apart = first.response?.id === second.response?.id ? ["both have one id"] : [];
    return [...good(first), ...good(second), ...apart];
  }),
  overSocket("websocket-continuation", async (socket, { model }) => {
    const first = await socket.turn({ model, ...seed });
    const second = await socket.turn({ model, ...follow(first, "Which word?") });
    const linked = second.response?.previous_response_id === first.response?.id;
    return [...good(first), ...good(second), ...(linked ? [] : ["previous_response_id: other"])];
  }),
  overSocket("websocket-reconnect-store-false-recovery", async (socket, server) => {
    const { model } = server;
    const first = await socket.turn({ model, ...seed });
    await socket.close();
    const again = await Socket.open(server);
    try {
      const lost = await again.turn({ model, ...follow(first, "Which word?") });
      const recovered = await again.turn({ model, ...seed });
      return [...good(first), ...notFound(lost), ...good(recovered)];
    } finally {
      await again.close();
    }
  }),
  overSocket("websocket-previous-response-not-found", async (socket, { model }) => {
    const body = { model, store: false, previous_response_id: "resp_nobody_has", input: "Go on." };
    return notFound(await socket.turn(body));
  }),
  overSocket("websocket-failed-continuation-evicts-cache", async (socket, { model }) => {
    const first = await socket.turn({ model, ...seed });
    const orphan = { type: "function_call_output", call_id: "call_nobody_made", output: "done" };
    const failed = await socket.turn({ model, ...follow(first, [orphan]) });
    const evicted = await socket.turn({ model, ...follow(first, "Which word?") });
    const broke = failed.errorCode !== undefined || failed.response?.status === "failed";
    return [...good(first), ...(broke ? [] : ["an orphaned result passed"]), ...notFound(evicted)];
  }),
  overSocket("websocket-compact-new-chain", async (socket, server) => {
    const { output } = await compacted(server);
    const input = [...(output as Fields[]), message("user", "When do we start?")];
    return good(await socket.turn({ model: server.model, store: false, input }));
  }),
];

export const CASES: readonly Case[] = [...HTTP_CASES, ...SOCKET_CASES];
