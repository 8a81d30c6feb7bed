/**
 * Writes a tiny, valid llama-architecture model with random weights, so that tests can run a real
 * llama.cpp engine without any download. The same options give the same bytes. Its answers mean
 * nothing, but they depend on the whole prefix: a wrongly reused KV cache shows as wrong text.
 *
 * The vocabulary has one token per UTF-8 byte plus the space mark, so token counts are byte counts.
 * Only printable ASCII can win, and the end token only as far as `eosBias` lets it: with 0 the
 * model never stops by itself and the length stays under the caller's control.
 *
 *     node edge/engine/gguf.ts OUT.gguf
 */
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export interface TinyGgufOptions {
  /** Seed of the weights. Default 1. */
  seed?: number;
  name?: string;
  /** Transformer blocks. Default 2. */
  layers?: number;
  /** Model width, a multiple of `heads`. Default 64. */
  width?: number;
  /** Attention heads. Default 4. */
  heads?: number;
  /** Key/value heads, a divisor of `heads`. Default 2. */
  kvHeads?: number;
  /** Width of the feed-forward layer. Default 128. */
  feedForward?: number;
  /** Context length in tokens. Default 4096. */
  contextTokens?: number;
  /** Type of the matrices; f32 and f16 answer differently. Default "f16". */
  dtype?: "f32" | "f16";
  /** Scale of the end token's output row; 0 (default) = it never ends by itself. */
  eosBias?: number;
}

export interface TinyGguf {
  bytes: number;
  parameters: number;
  vocabulary: number;
}

/** GGUF value type numbers (ggml `gguf.h`, version 3). */
const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
type Scalar = "u32" | "i32" | "f32" | "bool" | "string";
type Value = string | number | boolean;
type KeyValue = [key: string, type: Scalar, value: Value | readonly Value[]];
interface Tensor {
  name: string;
  dims: number[];
  data: Float32Array;
}

const ALIGNMENT = 32;
const BYTE_TOKENS = 3;
const CHAT_TEMPLATE =
  "{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}";

class Writer {
  private readonly parts: Buffer[] = [];
  length = 0;

  bytes(part: Buffer): void {
    this.parts.push(part);
    this.length += part.length;
  }

  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32LE(value);
    this.bytes(part);
  }

  u64(value: number): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    this.bytes(part);
  }

  string(value: string): void {
    const part = Buffer.from(value, "utf8");
    this.u64(part.length);
    this.bytes(part);
  }

  scalar(type: Scalar, value: Value): void {
    if (type === "string") return this.string(String(value));
    if (type === "bool") return this.bytes(Buffer.from([value ? 1 : 0]));
    const part = Buffer.alloc(4);
    if (type === "u32") part.writeUInt32LE(Number(value));
    else if (type === "i32") part.writeInt32LE(Number(value));
    else part.writeFloatLE(Number(value));
    this.bytes(part);
  }

  keyValue([key, type, value]: KeyValue): void {
    this.string(key);
    if (!Array.isArray(value)) {
      this.u32(TYPE[type]);
      return this.scalar(type, value as Value);
    }
    this.u32(TYPE.array);
    this.u32(TYPE[type]);
    this.u64(value.length);
    for (const item of value) this.scalar(type, item);
  }

  pad(): void {
    this.bytes(Buffer.alloc(padding(this.length)));
  }

  result(): Buffer {
    return Buffer.concat(this.parts);
  }
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

/** Standard normal numbers: mulberry32 through the Box-Muller transform. */
function gaussian(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
}

/** IEEE 754 half precision by rounding the mantissa; subnormals become zero, overflow infinity. */
function halfBits(values: Float32Array): Buffer {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = Buffer.alloc(values.length * 2);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const sign = (word >>> 16) & 0x8000;
    const exponent = ((word >>> 23) & 0xff) - 112;
    let half = (exponent << 10) | ((word & 0x7fffff) >>> 13);
    half += (word >>> 12) & 1;
    if (exponent <= 0) half = 0;
    else if (exponent >= 31) half = 0x7c00;
    out.writeUInt16LE(sign | half, i * 2);
  }
  return out;
}

function floatBytes(values: Float32Array): Buffer {
  const out = Buffer.alloc(values.length * 4);
  for (let i = 0; i < values.length; i++) out.writeFloatLE(values[i], i * 4);
  return out;
}

function vocabulary(): { tokens: string[]; scores: number[]; types: number[] } {
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [2, 3, 3];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(6);
  }
  tokens.push("\u2581");
  types.push(1);
  const scores = tokens.map((_, id) => (id === tokens.length - 1 ? -1 : 0));
  return { tokens, scores, types };
}

function keyValues(options: Required<TinyGgufOptions>): KeyValue[] {
  const { tokens, scores, types } = vocabulary();
  return [
    ["general.architecture", "string", "llama"],
    ["general.name", "string", options.name],
    ["general.alignment", "u32", ALIGNMENT],
    ["general.file_type", "u32", options.dtype === "f16" ? 1 : 0],
    ["llama.vocab_size", "u32", tokens.length],
    ["llama.context_length", "u32", options.contextTokens],
    ["llama.embedding_length", "u32", options.width],
    ["llama.block_count", "u32", options.layers],
    ["llama.feed_forward_length", "u32", options.feedForward],
    ["llama.attention.head_count", "u32", options.heads],
    ["llama.attention.head_count_kv", "u32", options.kvHeads],
    ["llama.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["llama.rope.dimension_count", "u32", options.width / options.heads],
    ["llama.rope.freq_base", "f32", 10_000],
    ["tokenizer.ggml.model", "string", "llama"],
    ["tokenizer.ggml.tokens", "string", tokens],
    ["tokenizer.ggml.scores", "f32", scores],
    ["tokenizer.ggml.token_type", "i32", types],
    ["tokenizer.ggml.bos_token_id", "u32", 1],
    ["tokenizer.ggml.eos_token_id", "u32", 2],
    ["tokenizer.ggml.unknown_token_id", "u32", 0],
    ["tokenizer.ggml.add_bos_token", "bool", true],
    ["tokenizer.ggml.add_eos_token", "bool", false],
    ["tokenizer.ggml.add_space_prefix", "bool", false],
    ["tokenizer.chat_template", "string", CHAT_TEMPLATE],
  ];
}

function weights(options: Required<TinyGgufOptions>): Tensor[] {
  const { width, feedForward, layers, heads, kvHeads } = options;
  const words = vocabulary().tokens.length;
  const kvWidth = (width / heads) * kvHeads;
  const next = gaussian(options.seed);
  const tensors: Tensor[] = [];
  const add = (name: string, dims: number[], sigma: number): Float32Array => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    const data = new Float32Array(length);
    for (let i = 0; i < length; i++) data[i] = sigma === 0 ? 1 : next() * sigma;
    tensors.push({ name: `${name}.weight`, dims, data });
    return data;
  };
  const sigma = 1 / Math.sqrt(width);
  add("token_embd", [width, words], 1);
  for (let layer = 0; layer < layers; layer++) {
    const block = `blk.${layer}`;
    add(`${block}.attn_norm`, [width], 0);
    add(`${block}.attn_q`, [width, width], 2 * sigma);
    add(`${block}.attn_k`, [width, kvWidth], 2 * sigma);
    add(`${block}.attn_v`, [width, kvWidth], 2 * sigma);
    add(`${block}.attn_output`, [width, width], 2 * sigma);
    add(`${block}.ffn_norm`, [width], 0);
    add(`${block}.ffn_gate`, [width, feedForward], sigma);
    add(`${block}.ffn_up`, [width, feedForward], sigma);
    add(`${block}.ffn_down`, [feedForward, width], 1 / Math.sqrt(feedForward));
  }
  add("output_norm", [width], 0);
  limitOutput(add("output", [width, words], 0.5), width, words, options.eosBias);
  return tensors;
}

/** Zero rows for everything that must not be said; the end token scaled by `eosBias`. */
function limitOutput(output: Float32Array, width: number, words: number, eosBias: number): void {
  for (let token = 0; token < words; token++) {
    const byte = token - BYTE_TOKENS;
    const printable = (byte >= 0x21 && byte <= 0x7e) || token === words - 1;
    const scale = printable ? 1 : token === 2 ? eosBias : 0;
    for (let i = 0; i < width; i++) output[token * width + i] *= scale;
  }
}

function complete(options: TinyGgufOptions): Required<TinyGgufOptions> {
  const full = {
    seed: 1,
    name: "tiny-random-llama",
    layers: 2,
    width: 64,
    heads: 4,
    kvHeads: 2,
    feedForward: 128,
    contextTokens: 4096,
    dtype: "f16" as const,
    eosBias: 0,
    ...options,
  };
  if (full.width % full.heads !== 0) throw new RangeError("width must be a multiple of heads");
  if (full.heads % full.kvHeads !== 0) throw new RangeError("kvHeads must divide heads");
  return full;
}

/** The file as bytes. See `TinyGgufOptions`; throws RangeError for shapes that cannot work. */
export function tinyGguf(options: TinyGgufOptions = {}): { file: Buffer; summary: TinyGguf } {
  const full = complete(options);
  const pairs = keyValues(full);
  const tensors = weights(full);
  const isHalf = (tensor: Tensor): boolean => full.dtype === "f16" && tensor.dims.length > 1;
  const writer = new Writer();
  writer.bytes(Buffer.from("GGUF"));
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(pairs.length);
  for (const pair of pairs) writer.keyValue(pair);
  let offset = 0;
  for (const tensor of tensors) {
    writer.string(tensor.name);
    writer.u32(tensor.dims.length);
    for (const dim of tensor.dims) writer.u64(dim);
    writer.u32(isHalf(tensor) ? 1 : 0);
    writer.u64(offset);
    const size = tensor.data.length * (isHalf(tensor) ? 2 : 4);
    offset += size + padding(size);
  }
  writer.pad();
  for (const tensor of tensors) {
    writer.bytes(isHalf(tensor) ? halfBits(tensor.data) : floatBytes(tensor.data));
    writer.pad();
  }
  const file = writer.result();
  const parameters = tensors.reduce((sum, tensor) => sum + tensor.data.length, 0);
  const words = tensors[0].dims[1];
  return { file, summary: { bytes: file.length, parameters, vocabulary: words } };
}

/** Writes the model to `path`; says its size. */
export function writeTinyGguf(path: string, options: TinyGgufOptions = {}): TinyGguf {
  const { file, summary } = tinyGguf(options);
  writeFileSync(path, file);
  return summary;
}

function main(argv: string[]): number {
  const path = argv[0];
  if (path === undefined || path.startsWith("-")) {
    const usage = "usage: node edge/engine/gguf.ts OUT.gguf\nWrites a tiny random llama model.\n";
    process.stdout.write(usage);
    return path === "--help" || path === "-h" ? 0 : 2;
  }
  process.stdout.write(`${JSON.stringify({ path, ...writeTinyGguf(path) })}\n`);
  return 0;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = main(process.argv.slice(2));
}
