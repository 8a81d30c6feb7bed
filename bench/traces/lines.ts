/** The lines of a file that may be compressed: by its name, `.gz` or `.br`, else as it is. */
import { createReadStream } from "node:fs";
import type { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { createBrotliDecompress, createGunzip } from "node:zlib";

/** A longer line is no row of a trace. */
const LINE_CHARS_MAX = 256 * 1024 * 1024;
const BYTE_ORDER_MARK = "\ufeff";

function plainBytes(file: string): AsyncIterable<Buffer> {
  const bytes = createReadStream(file);
  if (!/\.(gz|br)$/.test(file)) return bytes;
  const plain: Transform = file.endsWith(".br") ? createBrotliDecompress() : createGunzip();
  bytes.on("error", (error) => plain.destroy(error));
  return bytes.pipe(plain);
}

/** @throws what reading or unpacking throws */
export async function* linesOf(file: string): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let isFirst = true;
  for await (const bytes of plainBytes(file)) {
    const lines = (rest + decoder.write(bytes)).split("\n");
    rest = lines.pop() as string;
    if (rest.length > LINE_CHARS_MAX) throw new RangeError("a line is over 256 MiB long");
    for (const line of lines) {
      yield isFirst && line.startsWith(BYTE_ORDER_MARK) ? line.slice(1) : line;
      isFirst = false;
    }
  }
  rest += decoder.end();
  if (rest !== "") yield isFirst && rest.startsWith(BYTE_ORDER_MARK) ? rest.slice(1) : rest;
}
