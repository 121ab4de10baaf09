// Whether ONNX Runtime can compute here elsewhere than on the CPU: tried with a model of one operator, before anything is trained.
// https://onnxruntime.ai/docs/execution-providers/

import type * as Runtime from "onnxruntime-node";

import { KdataError } from "../../core/errors.ts";
import type { Plan } from "../plan.ts";
import { planToOnnx } from "./onnx-model.ts";

/** Where it may compute besides. */
export type Provider = "webgpu" | "cuda";

/** ONNX Runtime writes warnings and errors to standard error, which belongs to the program. Errors are thrown as well. */
export const LOG_FATAL_ONLY = 4;

const hints: Readonly<Record<Provider, string>> = {
  webgpu: "it needs a GPU with a Vulkan driver (libvulkan.so.1); executionProvider=cpu runs everywhere",
  cuda: "it needs an NVIDIA GPU with CUDA and cuDNN, and onnxruntime-node installed without ONNXRUNTIME_NODE_INSTALL=skip; executionProvider=cpu runs everywhere",
};

const probe: Plan = {
  name: "probe",
  nodes: [
    { id: 0, op: { kind: "input", name: "x" }, inputs: [], shape: [1], dtype: "float32", scope: "" },
    { id: 1, op: { kind: "neg" }, inputs: [0], shape: [1], dtype: "float32", scope: "" },
  ],
  feeds: new Map([["x", 0]]),
  state: new Map(),
  updates: new Map(),
  outputs: new Map([["y", 1]]),
};

/**
 * Checks that a provider computes here.
 *
 * @throws {KdataError} `package` when it does not; the message says why, the hint what it needs.
 */
export async function checkProvider(runtime: typeof Runtime, provider: Provider): Promise<void> {
  // Of one that is not in the package the loader would complain on standard error.
  const isInstalled = runtime.listSupportedBackends().some(({ name, bundled }) => name === provider && bundled);
  if (!isInstalled) throw notHere(provider, "it is not part of this installation of onnxruntime-node", undefined);
  try {
    const session = await runtime.InferenceSession.create(planToOnnx(probe), {
      executionProviders: [provider],
      logSeverityLevel: LOG_FATAL_ONLY,
    });
    try {
      const { y } = await session.run({ x: new runtime.Tensor("float32", Float32Array.of(2), [1]) });
      if (y?.data[0] !== -2) throw notHere(provider, "it computes wrongly", undefined);
    } finally {
      await session.release();
    }
  } catch (cause) {
    if (cause instanceof KdataError) throw cause;
    const reason = cause instanceof Error ? lastSentence(cause.message) : String(cause);
    throw notHere(provider, reason, cause);
  }
}

function notHere(provider: Provider, reason: string, cause: unknown): KdataError {
  return new KdataError("package", `Cannot open onnx: the executionProvider ${provider} does not run here: ${reason}`, {
    hint: hints[provider],
    cause,
  });
}

/** Its messages begin with a place in its source. */
function lastSentence(message: string): string {
  return (message.trim().split(". ").at(-1) ?? message).trim();
}
