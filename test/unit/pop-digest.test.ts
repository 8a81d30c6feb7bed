import { expect, test } from "vitest";
import { createReferenceKernel } from "../../src/kernel/reference.ts";
import { GroupDigest } from "../../src/pop-digest.ts";

const encoder = new TextEncoder();
const OPTIONS = {
  rows: 256,
  chunkBytes: 64,
  indexBytes: 1 << 20,
  promptBytesMax: 1 << 16,
  digestBytes: 1 << 20,
} as const;

function group(rows: number[]) {
  const kernel = createReferenceKernel(OPTIONS, (text, target) => encoder.encodeInto(text, target));
  for (const row of rows) kernel.columns.inUse[row] = 1;
  const chain = (text: string) => kernel.hash([text.repeat(64)], "m").chain;
  const believed = new Set<number>();
  const digest = new GroupDigest(kernel, rows);
  const follow = () => {
    const news = digest.next();
    if (news === undefined) return "nothing";
    if (news.snapshot) believed.clear();
    for (const hash of news.removed) believed.delete(hash);
    for (const hash of news.added) believed.add(hash);
    return news.snapshot ? "snapshot" : `+${news.added.length} -${news.removed.length}`;
  };
  return { kernel, chain, believed, follow };
}

test("one engine: everything first, then changes, then nothing", () => {
  const { kernel, chain, believed, follow } = group([0]);
  kernel.learn(chain("a"), 0, 0);
  expect(follow()).toBe("snapshot");
  expect(believed.size).toBe(1);
  kernel.learn(chain("b"), 0, 0);
  expect(follow()).toBe("+1 -0");
  expect(follow()).toBe("nothing");
  kernel.forget(chain("a"), 0, 0);
  expect(follow()).toBe("+0 -1");
  expect(believed.size).toBe(1);
});

test("several engines: a chunk is gone when the last of them dropped it", () => {
  const { kernel, chain, believed, follow } = group([0, 1]);
  follow();
  kernel.learn(chain("a"), 0, 0);
  kernel.learn(chain("a"), 1, 0);
  expect(follow()).toBe("+1 -0");
  kernel.forget(chain("a"), 0, 0);
  expect(follow()).toBe("nothing");
  expect(believed.size).toBe(1);
  kernel.forget(chain("a"), 1, 0);
  expect(follow()).toBe("+0 -1");
  expect(believed.size).toBe(0);
});

test("an engine that restarted makes it a snapshot again", () => {
  const { kernel, chain, believed, follow } = group([0, 1]);
  kernel.learn(chain("a"), 0, 0);
  kernel.learn(chain("b"), 1, 0);
  follow();
  kernel.clearRow(0);
  expect(follow()).toBe("snapshot");
  expect(believed.size).toBe(1);
});
