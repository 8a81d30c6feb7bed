/**
 * A trace in one form, whatever it came as: requests in order of arrival, each with the path of
 * its prompt through one tree of blocks. Prompts are never materialised: a node of the tree is a
 * chain hash, so equal prefixes have equal nodes and the kernel is given chains made of them.
 */
import { mix } from "./random.ts";

/** Tokens of a block; finer traces are coarsened to it. */
export const BLOCK_TOKENS = 512;

export interface TraceRequest {
  /** Place in the trace. */
  index: number;
  /** From the start of the trace. */
  atMs: number;
  inputTokens: number;
  outputTokens: number;
  /** Nodes of the prompt's blocks from the root; the last block may be partial. */
  blocks: Uint32Array;
  /** The same as the kernel's chain: (lo, hi) per block. */
  chain: Uint32Array;
  /** The conversation, as the trace says or as its prefixes show. */
  session: number;
}

export interface Trace {
  name: string;
  requests: TraceRequest[];
  /** Different blocks in all prompts. */
  uniqueBlocks: number;
  /** True when the trace itself names the conversations. */
  namesSessions: boolean;
}

/** What a format's reader finds. */
export interface RawRequest {
  atMs: number;
  inputTokens: number;
  outputTokens: number;
  /** Ids of 512-token blocks, from the root; undefined = nothing is shared with anybody. */
  ids: readonly (number | string)[] | undefined;
  session: number | undefined;
}

const NODES_MAX = 2 ** 26;

/** One tree of blocks: an id below another parent is another node. */
class BlockTree {
  nodes = 0;
  private readonly idNumbers = new Map<number | string, number>();
  private readonly children = new Map<number, number>();

  path(ids: readonly (number | string)[]): Uint32Array {
    const path = new Uint32Array(ids.length);
    let parent = 0;
    for (let depth = 0; depth < ids.length; depth++) {
      const key = parent * NODES_MAX + this.numberOf(ids[depth]);
      let node = this.children.get(key);
      if (node === undefined) {
        node = ++this.nodes;
        if (node >= NODES_MAX) throw new RangeError(`more than ${NODES_MAX} blocks in the trace`);
        this.children.set(key, node);
      }
      path[depth] = node;
      parent = node;
    }
    return path;
  }

  /** A path that nobody else has. */
  ownPath(length: number): Uint32Array {
    return Uint32Array.from({ length }, () => ++this.nodes);
  }

  private numberOf(id: number | string): number {
    let number = this.idNumbers.get(id);
    if (number === undefined) {
      number = this.idNumbers.size;
      this.idNumbers.set(id, number);
    }
    return number;
  }
}

/** @throws RangeError when there is no request in it */
export function toTrace(name: string, raw: RawRequest[]): Trace {
  if (raw.length === 0) throw new RangeError(`${name}: no request in the trace`);
  const tree = new BlockTree();
  const ordered = raw.map((one, order) => ({ one, order }));
  ordered.sort((a, b) => a.one.atMs - b.one.atMs || a.order - b.order);
  const firstMs = ordered[0].one.atMs;
  const requests = ordered.map(({ one }, index): TraceRequest => {
    const wanted = Math.ceil(one.inputTokens / BLOCK_TOKENS);
    const blocks = one.ids ? tree.path(one.ids.slice(0, wanted)) : tree.ownPath(wanted);
    return {
      index,
      atMs: one.atMs - firstMs,
      inputTokens: one.inputTokens,
      outputTokens: one.outputTokens,
      blocks,
      chain: chainOf(blocks),
      session: one.session ?? -1,
    };
  });
  const namesSessions = raw.every(({ session }) => session !== undefined);
  if (!namesSessions) deriveSessions(requests, tree.nodes);
  return { name, requests, uniqueBlocks: tree.nodes, namesSessions };
}

function chainOf(blocks: Uint32Array): Uint32Array {
  const chain = new Uint32Array(blocks.length * 2);
  for (let depth = 0; depth < blocks.length; depth++) {
    chain[depth * 2] = mix(blocks[depth], 0x2545f491);
    chain[depth * 2 + 1] = mix(blocks[depth], 0x7f4a7c15) | 1;
  }
  return chain;
}

/** A block that more than this share of all requests has belongs to no conversation. */
const COMMON_SHARE = 0.02;

/** The conversation of a request is that of the deepest block that was seen before. */
function deriveSessions(requests: TraceRequest[], nodes: number): void {
  const uses = new Uint32Array(nodes + 1);
  for (const { blocks } of requests) for (const node of blocks) uses[node]++;
  const common = Math.max(requests.length * COMMON_SHARE, 2);
  const owner = new Int32Array(nodes + 1).fill(-1);
  let sessions = 0;
  for (const request of requests) {
    for (const node of request.blocks) {
      if (owner[node] >= 0 && uses[node] <= common) request.session = owner[node];
    }
    if (request.session < 0) request.session = sessions++;
    for (const node of request.blocks) if (owner[node] < 0) owner[node] = request.session;
  }
}

export interface TraceFacts {
  inputTokens: number;
  outputTokens: number;
  durationMs: number;
  /** Share of blocks, and of tokens, that a cache without bound and router would find. */
  idealBlocks: number;
  idealTokens: number;
}

export function factsOf(trace: Trace): TraceFacts {
  const seen = new Uint8Array(trace.uniqueBlocks + 1);
  let inputTokens = 0;
  let outputTokens = 0;
  let blocks = 0;
  let hitBlocks = 0;
  let hitTokens = 0;
  for (const request of trace.requests) {
    let hits = 0;
    while (hits < request.blocks.length && seen[request.blocks[hits]] === 1) hits++;
    for (const node of request.blocks) seen[node] = 1;
    inputTokens += request.inputTokens;
    outputTokens += request.outputTokens;
    blocks += request.blocks.length;
    hitBlocks += hits;
    hitTokens += Math.min(hits * BLOCK_TOKENS, request.inputTokens);
  }
  const durationMs = trace.requests[trace.requests.length - 1].atMs;
  const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0);
  return {
    inputTokens,
    outputTokens,
    durationMs,
    idealBlocks: share(hitBlocks, blocks),
    idealTokens: share(hitTokens, inputTokens),
  };
}
