/**
 * What is asked arrives at the model, and what the model says arrives at the client: text,
 * reasoning, tool calls, images, usage and the reason of the end, plain and streamed.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Scene, Stop } from "../vendors/scene.ts";
import { type Heard, nothing, type Wish } from "./clients/client.ts";
import {
  askedOf,
  CALLED,
  EVERYTHING,
  fullWish,
  heardOf,
  SPOKEN,
  stopped,
  THOUGHT,
  wish,
  withTools,
} from "./scenes.ts";
import { House, type Stage } from "./stage.ts";

const SCENES: Record<string, Scene> = {
  text: SPOKEN,
  "reasoning and text": THOUGHT,
  "text and two tool calls": CALLED,
  everything: EVERYTHING,
};

const STOPS: readonly Stop[] = ["length", "filter", "sequence"];

export function answersSuite(stages: readonly Stage[]): void {
  let house: House;
  beforeAll(async () => {
    house = await House.open(stages);
  });
  afterAll(() => house?.close());

  describe.each(stages)("$name", (stage) => {
    const { client, vendorDialect, model } = stage;
    const vendor = () => house.vendors[vendorDialect];
    const tell = (scene: Scene): void => {
      vendor().director = () => ({ kind: "answers", scene });
    };
    beforeEach(() => vendor().forget());

    const ask = async (way: string, wished: Wish): Promise<Heard> => {
      if (way === "plain") return client.plain(house.target(stage), wished);
      const heard = nothing();
      await client.stream(house.target(stage), wished, heard);
      return heard;
    };

    describe.each(client.streamsOnly ? ["streamed"] : ["plain", "streamed"])("%s", (way) => {
      test.each(Object.keys(SCENES))("%s", async (name) => {
        tell(SCENES[name]);
        const heard = await ask(way, withTools(model));
        expect(heard).toEqual(heardOf(SCENES[name], client));
        expect(vendor().asked).toHaveLength(1);
        expect(vendor().asked[0].stream).toBe(way !== "plain");
      });

      test.each(STOPS)("the end by %s", async (stop) => {
        tell(stopped(stop));
        const heard = await ask(way, { ...wish(model), stops: ["###"] });
        const said = stop === "sequence" && !tellsSequences(stage) ? "end" : stop;
        expect(heard).toMatchObject({ ...heardOf(SPOKEN, client), stop: said });
      });

      test("all that is asked arrives", async () => {
        tell(SPOKEN);
        const wished = fullWish(model);
        await ask(way, wished);
        const asked = vendor().asked[0];
        const { temperature, ...rest } = askedOf(wished);
        expect(asked).toMatchObject(rest);
        if (client.deaf?.temperature === undefined) expect(asked).toMatchObject({ temperature });
        expect(asked.tools).toMatchObject(wished.tools ?? []);
        expect(asked.choice ?? "auto").toBe("auto");
        expect(vendor().refused.map(({ message }) => message)).toEqual([]);
      });

      test.each([["any"], [{ name: "clock" }]])("tool choice %o", async (choice) => {
        tell(CALLED);
        await ask(way, { ...withTools(model), choice: choice as "any" });
        expect(vendor().asked[0].choice).toEqual(choice);
      });
    });

    if (!hasStops(stage)) return;
    test("stop sequences arrive", async () => {
      tell(SPOKEN);
      await ask("plain", { ...wish(model), stops: ["###", "END"] });
      expect(vendor().asked[0].stops).toEqual(["###", "END"]);
    });
  });
}

/** Only Messages tells a stop sequence from an end, on both sides. */
function tellsSequences({ client, vendorDialect }: Stage): boolean {
  return vendorDialect === "messages" && client.deaf?.sequence === undefined;
}

/** Responses has no stop sequences, so nothing can arrive from it or at it. */
function hasStops({ client, vendorDialect }: Stage): boolean {
  return client.dialect !== "responses" && vendorDialect !== "responses";
}
