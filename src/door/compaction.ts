/**
 * A conversation made short: the model writes a summary, which travels with the client as one
 * opaque item. It is sealed against reading by accident, not against its owner, whose words it is:
 * any PoP can open it, and none has to remember it.
 */
import type { Fields } from "../task/body-fields.ts";

const SEAL = "gridpoint.1.";

export const COMPACT_INSTRUCTIONS =
  "Summarise the conversation so far for the assistant that will continue it. Keep every fact, " +
  "name, number, decision, open question and result of a tool that later turns may need. Write " +
  "plain text, nothing else.";

export function sealed(id: string, summary: string): Fields {
  const bytes = new TextEncoder().encode(summary);
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return { id, type: "compaction", encrypted_content: SEAL + btoa(letters) };
}

/** The item as a message that every model can read; undefined: another system sealed it. */
export function unsealed(item: Fields): Fields | undefined {
  const text = item.encrypted_content;
  if (typeof text !== "string" || !text.startsWith(SEAL)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(text.slice(SEAL.length)), (one) => one.charCodeAt(0));
    const summary = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const content = `Summary of the conversation so far:\n${summary}`;
    return { type: "message", role: "developer", content };
  } catch {
    return undefined;
  }
}
