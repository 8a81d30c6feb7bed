/**
 * Routes that turn the body of a generation into the token ids of its prompt, by family; the first
 * that exists serves. /render makes the prompt just as the generation does; vLLM needs
 * --enable-scale-out for it, TensorRT-LLM TRTLLM_ENABLE_RENDER_ENDPOINTS=1. vLLM's /tokenize takes
 * chat and completion bodies, too, but none of what templates may read beside messages and tools:
 * reasoning_effort, documents, tool_choice (0.32).
 */
import type { EngineFamily } from "../grid/endpoint.ts";
import type { Operation } from "../task/route.ts";

const RENDER = { generate: "/v1/chat/completions/render", complete: "/v1/completions/render" };
const VLLM = {
  generate: [RENDER.generate, "/tokenize"],
  complete: [RENDER.complete, "/tokenize"],
};

export const TOKENIZERS: Partial<
  Record<EngineFamily, Partial<Record<Operation, readonly string[]>>>
> = {
  vllm: VLLM,
  nim: VLLM,
  "tensorrt-llm": { generate: [RENDER.generate] },
};
