/**
 * Routes that turn the body of a generation into the token ids of its prompt, by family; the first
 * that exists serves. vLLM's /tokenize takes chat and completion bodies and ignores what else is in
 * them. /render of vLLM needs --enable-scale-out, of TensorRT-LLM TRTLLM_ENABLE_RENDER_ENDPOINTS=1.
 */
import type { EngineFamily } from "../grid/endpoint.ts";
import type { Operation } from "../task/route.ts";

const RENDER = { generate: "/v1/chat/completions/render", complete: "/v1/completions/render" };
const VLLM = {
  generate: ["/tokenize", RENDER.generate],
  complete: ["/tokenize", RENDER.complete],
};

export const TOKENIZERS: Partial<
  Record<EngineFamily, Partial<Record<Operation, readonly string[]>>>
> = {
  vllm: VLLM,
  nim: VLLM,
  "tensorrt-llm": { generate: [RENDER.generate] },
};
