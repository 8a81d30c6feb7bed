/**
 * Are decisions as good when several processes make them? Conversations in front of four emulated
 * engines whose KV caches hold them only if each stays where it is; every turn comes on a new
 * connection, so that it may meet any process. What counts is what the engines say they had cached.
 */
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";
import { announced, launch, type Running, until } from "./process.ts";

const ENGINES = 4;
const CONVERSATIONS = 16;
const TURNS = 8;
/** Words of a conversation's own beginning, and of what each turn adds. */
const OPENING_WORDS = 300;
const TURN_WORDS = 40;
const ENGINE = "engine --port 0 --model m --profile l40s-8b --kv-blocks 1000";
const CLI = fileURLToPath(new URL("../../edge/cli.ts", import.meta.url));

export interface Quality {
  /** Prompt tokens that the engines had cached, of all. */
  hitRatio: number;
  /** Prompt tokens computed by the busiest engine, against the mean. */
  imbalance: number;
  errors: number;
}

export interface Engines {
  /** The section of a PoP's config. */
  endpoints: Record<string, unknown>[];
  stop(): Promise<void>;
}

export async function startEngines(): Promise<Engines> {
  const running: Running[] = [];
  const endpoints: Record<string, unknown>[] = [];
  const stop = async () => void (await Promise.all(running.map((one) => one.stop())));
  try {
    for (let n = 0; n < ENGINES; n++) {
      const one = launch(process.execPath, [CLI, ...ENGINE.split(" ")]);
      running.push(one);
      const url = await until(one, `engine ${n}`, () => announced(one));
      endpoints.push({ id: `e${n}`, url, engine: "vllm" });
    }
    return { endpoints, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Usage {
  prompt_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number };
}

interface Answer {
  status: number;
  engine: string;
  usage: Usage | undefined;
  text: string;
}

function ask(base: string, messages: object[]): Promise<Answer> {
  const body = JSON.stringify({ model: "m", max_tokens: 16, messages });
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${base}/v1/chat/completions`,
      {
        method: "POST",
        agent: new Agent({ keepAlive: false }),
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => (text += piece));
        response.on("end", () => resolve(read(response.statusCode ?? 0, response.headers, text)));
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function read(status: number, headers: NodeJS.Dict<string | string[]>, body: string): Answer {
  const engine = /endpoint=([^;]*)/.exec(String(headers["x-grid-route"]))?.[1] ?? "";
  if (status !== 200) return { status, engine, usage: undefined, text: "" };
  const { usage, choices } = JSON.parse(body) as {
    usage: Usage;
    choices: { message: { content: string } }[];
  };
  return { status, engine, usage, text: choices[0]?.message.content ?? "" };
}

const words = (count: number, of: string): string =>
  Array.from({ length: count }, (_, at) => `${of}${at % 97}`).join(" ");

/** One conversation from its opening to its last turn. */
async function converse(base: string, id: number, tally: Tally): Promise<void> {
  const messages: object[] = [{ role: "system", content: words(OPENING_WORDS, `opening${id}x`) }];
  for (let turn = 0; turn < TURNS; turn++) {
    messages.push({ role: "user", content: words(TURN_WORDS, `turn${turn}of${id}x`) });
    const { usage, engine, text } = await ask(base, messages);
    tally.add(engine, usage);
    messages.push({ role: "assistant", content: text });
  }
}

class Tally {
  private prompt = 0;
  private cached = 0;
  private errors = 0;
  private readonly computed = new Map<string, number>();

  add(engine: string, usage: Usage | undefined): void {
    if (usage === undefined) {
      this.errors++;
      return;
    }
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    this.prompt += usage.prompt_tokens;
    this.cached += cached;
    this.computed.set(engine, (this.computed.get(engine) ?? 0) + usage.prompt_tokens - cached);
  }

  quality(): Quality {
    const mean = (this.prompt - this.cached) / ENGINES;
    const imbalance = Math.max(0, ...this.computed.values()) / mean;
    return { hitRatio: this.cached / this.prompt, imbalance, errors: this.errors };
  }
}

export async function measureQuality(base: string): Promise<Quality> {
  const tally = new Tally();
  const all = Array.from({ length: CONVERSATIONS }, (_, id) => converse(base, id, tally));
  await Promise.all(all);
  return tally.quality();
}
