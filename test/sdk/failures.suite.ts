/**
 * What goes wrong, and what each SDK makes of it: refusals, errors in a stream, a client that
 * leaves, and an answer that breaks behind each of its events in each way. Directly at the vendor
 * an SDK may take a clean end for the end; through a PoP nobody may see a success that is none.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../runtime/pop-process.ts";
import { type Break, Refusal, type Scene } from "../vendors/scene.ts";
import { type Failure, type Heard, nothing } from "./clients/client.ts";
import { EVERYTHING, heardOf, SPOKEN, wish, withTools } from "./scenes.ts";
import { BUSY, busyModel, House, type Stage } from "./stage.ts";

/** Status of the vendor's refusal, and the status that the caller of a PoP gets for it. */
const REFUSALS: Record<number, number> = {
  400: 400,
  422: 422,
  // The key and the model are the PoP's, not the caller's: its endpoint is at fault.
  ...{ 401: 502, 403: 502, 404: 502 },
  429: 429,
  500: 502,
  503: 503,
};
const WAYS: readonly Break[] = ["error", "reset", "fin", "clean"];
const GONE_MS = 50;

interface Outcome {
  /** Name of the class that was thrown, "quiet", or "success". */
  name: string;
  heard: Heard;
  failure: Failure | undefined;
}

export function failuresSuite(stages: readonly Stage[]): void {
  let house: House;
  beforeAll(async () => {
    house = await House.open(stages, { timeouts: { idleMs: 300, firstTokenMs: 2_000 } });
  });
  afterAll(() => house?.close());

  describe.each(stages)("$name", (stage) => {
    const { client, vendorDialect, throughPop, model } = stage;
    const vendor = () => house.vendors[vendorDialect];
    beforeEach(() => vendor().forget());
    // The endpoint's health must not be what the next test meets.
    afterEach(() => recover(house, stage));

    const stream = async (scene: Scene, asked = model): Promise<Outcome> => {
      const heard = nothing();
      const wished = scene === SPOKEN ? wish(asked) : withTools(asked);
      const failure = await client.stream(house.target(stage), wished, heard).then(
        () => undefined,
        (error: unknown) => client.failure(error),
      );
      const returned = heard.stop === undefined ? "quiet" : "success";
      return { name: failure?.name ?? returned, heard, failure };
    };

    describe.each(Object.keys(REFUSALS).map(Number))("refused with %i", (status) => {
      const told = throughPop ? REFUSALS[status] : status;
      const own = BUSY.includes(status as 429) ? busyModel(stage, status) : model;

      test("before a stream and before a plain answer", async () => {
        const refusal = new Refusal(status, "This vendor is out of ideas.", { code: "no_ideas" });
        vendor().director = () => ({ kind: "refuses", refusal, headers: { "retry-after": "1" } });
        const { failure } = await stream(SPOKEN, own);
        expect(failure?.name).toBe(client.throws.refused(told));
        if (failure?.status !== undefined) expect(failure.status).toBe(told);
        if (told === status && status < 429) expect(failure?.message).toContain("out of ideas");
        const plain = client.plain(house.target(stage), wish(own));
        await expect(plain).rejects.toThrow();
      });
    });

    test("a wrong key and an unknown model", async () => {
      const stranger = { ...house.target(stage), key: "wrong" };
      const refused = client.plain(stranger, wish(model));
      const named = client.failure(await refused.catch((error: unknown) => error));
      expect(named.status).toBe(401);
      const missing = client.plain(house.target(stage), wish("none"));
      const unknown = client.failure(await missing.catch((error: unknown) => error));
      expect(unknown.status).toBe(404);
      expect(vendor().asked).toEqual([]);
    });

    test.each(WAYS)("lost by %s behind each event", async (how) => {
      vendor().director = () => ({ kind: "answers", scene: EVERYTHING });
      const { name, heard } = await stream(EVERYTHING);
      expect({ name, heard }).toEqual({ name: "success", heard: heardOf(EVERYTHING, client) });
      const events = vendor().eventsOf(EVERYTHING);
      expect(events).toBeGreaterThan(7);
      for (let after = 0; after < events; after++) {
        vendor().director = () => ({ kind: "breaks", scene: EVERYTHING, after, how });
        const outcome = await stream(EVERYTHING);
        expectHonest(outcome, stage, how, after);
        await recover(house, stage);
      }
    });

    test("lost before a head, and in the middle of a plain answer", async () => {
      const { throws } = client;
      for (const how of ["reset", "fin"] as const) {
        vendor().director = () => ({ kind: "breaks", scene: SPOKEN, after: "request", how });
        const { name } = await stream(SPOKEN);
        expect(throughPop ? [throws.refused(502)] : throws.broken).toContain(name);
        await recover(house, stage);
        vendor().director = () => ({ kind: "breaks", scene: SPOKEN, after: 1, how });
        await expect(client.plain(house.target(stage), wish(model))).rejects.toThrow();
        await recover(house, stage);
      }
    });

    test("a client that leaves a stream, and one that leaves before the answer", async () => {
      vendor().director = () => ({ kind: "answers", scene: SPOKEN, gapMs: 40 });
      const leaving = new AbortController();
      const heard = nothing();
      const left = client.stream(house.target(stage), wish(model), heard, leaving.signal);
      const thrown = left.then(
        () => "returned",
        () => "threw",
      );
      await eventually("content", () => heard.text !== "");
      await leaves(leaving);
      expect(await thrown).toBe("threw");

      vendor().director = () => ({
        kind: "breaks",
        scene: SPOKEN,
        after: "request",
        how: "silent",
      });
      const early = new AbortController();
      const plain = client.plain(house.target(stage), wish(model), early.signal);
      const refused = plain.then(
        () => "returned",
        () => "threw",
      );
      await eventually("the request", () => vendor().active === 1);
      await leaves(early);
      expect(await refused).toBe("threw");
    });

    async function leaves(client: AbortController): Promise<void> {
      const startMs = performance.now();
      vendor().leftAtMs.length = 0;
      client.abort(new Error("the user pressed escape"));
      await eventually("the vendor notices", () => vendor().leftAtMs.length > 0, 2_000);
      expect((vendor().leftAtMs[0] ?? 0) - startMs).toBeLessThan(GONE_MS);
      await eventually("nothing runs", () => vendor().active === 0, 2_000);
    }

    if (!throughPop) return;
    test("an engine that falls silent in the middle", async () => {
      const after = vendor().protocol.dialect === "chat" ? 2 : 5;
      vendor().director = () => ({ kind: "breaks", scene: SPOKEN, after, how: "silent" });
      const { name } = await stream(SPOKEN);
      expect(client.throws.event).toContain(name);
      await eventually("the engine is freed", () => vendor().active === 0, 2_000);
    });
  });
}

/** Nobody sees a success that lacks anything of what was said. */
function expectHonest(outcome: Outcome, stage: Stage, how: Break, after: number): void {
  const { client, throughPop } = stage;
  const { name, heard } = outcome;
  const { throws } = client;
  const where = `${how} behind event ${after}: ${name} ${outcome.failure?.message ?? ""}`;
  if (name === "success") {
    const { usage: _asItCame, ...said } = heardOf(EVERYTHING, client);
    expect(heard, where).toMatchObject(said);
    return;
  }
  const direct = { error: throws.event, reset: throws.broken, fin: throws.broken };
  const allowed = throughPop
    ? [...throws.event, throws.refused(502), throws.refused(503)]
    : how === "clean"
      ? throws.cut
      : direct[how as "reset"];
  expect(allowed, where).toContain(name);
}

/** Good answers until the endpoint counts as well again: failures may not be half of a window. */
async function recover(house: House, stage: Stage): Promise<void> {
  house.vendors[stage.vendorDialect].director = () => ({ kind: "answers", scene: SPOKEN });
  if (!stage.throughPop) return;
  const ask = (): Promise<boolean> =>
    stage.client.plain(house.target(stage), wish(stage.model)).then(
      () => true,
      () => false,
    );
  for (let good = 0; good < 2; good++) await eventually("an endpoint that is well", ask);
}
