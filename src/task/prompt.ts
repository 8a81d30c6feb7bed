/**
 * The canonical prompt of a request that came in another dialect than OpenAI's: the same pieces
 * that `openai-prompt.ts` makes of a chat body, so that one conversation hashes to the same prefix
 * whichever door it comes by.
 */
import { CAPABILITY } from "../grid/endpoint.ts";
import { type BodyLimits, invalid } from "./body-fields.ts";
import { chatTool } from "./dialects/chat-from-request.ts";
import { CALL, HEADS, short, UNIT } from "./openai-prompt.ts";
import type { InferenceRequest, Part, Tool } from "./request.ts";

/** CAPABILITY bits that an endpoint must have. */
export function needsOf(request: InferenceRequest): number {
  let needs: number = CAPABILITY.chat;
  if (request.tools.length > 0) needs |= CAPABILITY.tools;
  if (request.format?.type === "schema") needs |= CAPABILITY.jsonSchema;
  if (request.logprobs !== undefined) needs |= CAPABILITY.logprobs;
  if (request.choices > 1) needs |= CAPABILITY.choices;
  const seen = (part: Part): boolean =>
    part.type === "image" || (part.type === "result" && part.parts.some(seen));
  if (request.messages.some(({ parts }) => parts.some(seen))) needs |= CAPABILITY.vision;
  return needs;
}

/** @throws GridError invalid_request when it has too many pieces */
export function requestPrompt(request: InferenceRequest, limits: BodyLimits): string[] {
  const pieces: string[] = [];
  if (request.tools.length > 0) pieces.push(JSON.stringify(request.tools.map(toolValue)));
  for (const message of request.messages) {
    pieces.push(HEADS.get(message.role) as string);
    if (message.name !== undefined) pieces.push(message.name + UNIT);
    for (const part of message.parts) addPart(pieces, part);
    if (pieces.length > limits.promptPieces) {
      throw invalid("messages", `have more than ${limits.promptPieces} parts in all`);
    }
  }
  return pieces.filter((piece) => piece.length > 0);
}

function toolValue(tool: Tool): unknown {
  return tool.foreign === undefined ? chatTool(tool) : tool.foreign.value;
}

function addPart(pieces: string[], part: Part): void {
  switch (part.type) {
    case "text":
    case "refusal":
      pieces.push(part.text);
      return;
    case "image":
      pieces.push(`${CALL}image${UNIT}${short(part.url)}${UNIT}`);
      return;
    case "call":
      pieces.push(`${CALL}${part.id}${UNIT}${part.name}${UNIT}`, part.arguments);
      return;
    case "result":
      pieces.push(part.id + UNIT);
      for (const inner of part.parts) addPart(pieces, inner);
      return;
    case "file":
      pieces.push(`${CALL}file${UNIT}${short(part.url)}${UNIT}`);
      return;
    case "audio":
      pieces.push(`${CALL}input_audio${UNIT}${short(part.data)}${UNIT}`);
      return;
    // No chat template shows the model its earlier thoughts.
    case "reasoning":
      return;
    case "foreign":
      pieces.push(`${CALL}${short(part.kind)}${UNIT}${short(JSON.stringify(part.value))}${UNIT}`);
  }
}
