/**
 * What `ResponsesWS` offers beyond one answer: several answers on one socket, lanes, preparing
 * without output, errors that leave the socket open.
 */
import { ResponsesWS } from "openai/resources/responses/ws";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Fields } from "../vendors/scene.ts";
import { openAi } from "./clients/openai-chat.ts";
import { SPOKEN } from "./scenes.ts";
import { House, type Stage } from "./stage.ts";

/** The last event of each response that was asked for, in the order in which they ended. */
async function ends(session: ResponsesWS, count: number): Promise<Fields[]> {
  const found: Fields[] = [];
  for await (const part of session) {
    if (part.type === "error") throw part.error;
    if (part.type === "close") break;
    if (part.type !== "message") continue;
    const event = part.message as unknown as Fields;
    if (/^(response\.(completed|incomplete|failed)|error)$/.test(String(event.type))) {
      found.push(event);
      if (found.length === count) break;
    }
  }
  return found;
}

const idOf = (event: Fields): unknown => (event.response as Fields).id;

export function responsesSocketSuite(stage: Stage): void {
  let house: House;
  beforeAll(async () => {
    house = await House.open([stage]);
  });
  afterAll(() => house?.close());
  const vendor = () => house.vendors[stage.vendorDialect];
  beforeEach(() => {
    vendor().forget();
    vendor().director = () => ({ kind: "answers", scene: SPOKEN, gapMs: 5 });
  });

  async function withSession(talk: (session: ResponsesWS) => Promise<void>): Promise<void> {
    const session = new ResponsesWS(openAi(house.target(stage)));
    try {
      await talk(session);
    } finally {
      session.close();
    }
  }

  const create = (more: Fields = {}) =>
    ({
      type: "response.create",
      model: stage.model,
      store: false,
      input: "Hello",
      ...more,
    }) as never;

  test("a lane is in order, lanes run side by side, and each event names its lane", () =>
    withSession(async (session) => {
      let most = 0;
      vendor().director = () => {
        most = Math.max(most, vendor().active + 1);
        return { kind: "answers", scene: SPOKEN, gapMs: 5 };
      };
      for (const lane of ["a", "b", "a", "b"]) session.send(create({ stream_id: lane }));
      const found = await ends(session, 4);
      expect(found.map(({ stream_id }) => stream_id).sort()).toEqual(["a", "a", "b", "b"]);
      expect(new Set(found.map(idOf)).size).toBe(4);
      expect(most).toBe(2);
    }));

  test("generate: false prepares, and its response can be continued", () =>
    withSession(async (session) => {
      session.send(create({ generate: false, input: "A long prompt." }));
      const [prepared] = await ends(session, 1);
      expect((prepared.response as Fields).output).toEqual([]);
      session.send(create({ input: "Go on.", previous_response_id: idOf(prepared) }));
      const [done] = await ends(session, 1);
      expect(done).toMatchObject({ type: "response.completed" });
      const texts = vendor()
        .asked.at(-1)
        ?.turns.flatMap(({ parts }) => parts);
      expect(texts).toMatchObject([{ text: "A long prompt." }, { text: "Go on." }]);
    }));

  test("a continuation carries what was said", () =>
    withSession(async (session) => {
      session.send(create());
      const [first] = await ends(session, 1);
      session.send(create({ input: "And?", previous_response_id: idOf(first) }));
      await ends(session, 1);
      expect(
        vendor()
          .asked.at(-1)
          ?.turns.map(({ role }) => role),
      ).toEqual([...["user", "assistant", "user"]]);
    }));

  test("what is wrong is told in an error event, and the socket stays open", async () => {
    const { base, key } = house.target(stage);
    const url = `${base.replace("http", "ws")}/v1/responses`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${key}` } });
    await new Promise((resolve) => socket.once("open", resolve));
    const answerTo = async (frame: string | Buffer): Promise<Fields> => {
      const heard = new Promise<string>((resolve) =>
        socket.once("message", (bytes) => resolve(String(bytes))),
      );
      socket.send(frame);
      return JSON.parse(await heard) as Fields;
    };
    const wrong = [
      "no json",
      "[]",
      JSON.stringify({ type: "response.dance" }),
      JSON.stringify({ type: "response.create", model: "none", input: "x" }),
      JSON.stringify({ type: "response.create", model: stage.model, input: "x", stream: true }),
      Buffer.from([1, 2, 3]),
    ];
    for (const frame of wrong) {
      const event = await answerTo(frame);
      expect(event).toMatchObject({ type: "error", error: { message: expect.any(String) } });
      expect(event.status).toBeGreaterThanOrEqual(400);
    }
    expect(await answerTo(JSON.stringify(create()))).toMatchObject({ type: "response.created" });
    socket.terminate();
  });

  test("a wrong key is refused in the handshake", async () => {
    const url = `${house.target(stage).base.replace("http", "ws")}/v1/responses`;
    const socket = new WebSocket(url, { headers: { authorization: "Bearer wrong" } });
    const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(error.message).toContain("401");
  });
}
