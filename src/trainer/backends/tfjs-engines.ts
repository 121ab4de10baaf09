// Which of TensorFlow.js' engines runs here: the native ones on GPU or CPU, WebAssembly, or plain JavaScript.
// https://www.tensorflow.org/js/guide/platform_environment

import util from "node:util";

import type * as Core from "@tensorflow/tfjs-core";

import { KdataError } from "../../core/errors.ts";

/** What the kernels have to know of an engine. */
interface EngineTraits {
  /** The name under which the package registers with the core. */
  readonly registeredAs: string;
  readonly device: string;
  /** Its matrix kernel is as fast with transpose flags as without. Without this, XNNPACK is missed: 14 times slower. */
  readonly transposesInProduct: boolean;
  /** Its erf is good to float32. The others use a polynomial with an absolute error of 1.5e-7. */
  readonly preciseErf: boolean;
  /** It adds up one element after the other in float32, so that a long sum loses digits. */
  readonly sumsInOrder: boolean;
  /** A tensor made from an array holds its own copy of it. */
  readonly copiesUploads: boolean;
  /** It checks the indices of a scatter itself. */
  readonly checksIndices: boolean;
}

/** A loaded engine: the core library it is registered with, and why the engines before it were not taken. */
export interface TfjsEngine extends EngineTraits {
  readonly core: typeof Core;
  readonly packageName: string;
  /** `package: reason` of each engine that was tried first. */
  readonly passedOver: readonly string[];
}

const nativeTraits = {
  registeredAs: "tensorflow",
  transposesInProduct: true,
  preciseErf: true,
  sumsInOrder: false,
  copiesUploads: false,
  checksIndices: true,
};

/** By package name, the fastest first. */
const engines: ReadonlyMap<string, EngineTraits> = new Map([
  ["@tensorflow/tfjs-node-gpu", { ...nativeTraits, device: "gpu (native)" }],
  ["@tensorflow/tfjs-node", { ...nativeTraits, device: "cpu (native)" }],
  [
    "@tensorflow/tfjs-backend-wasm",
    {
      registeredAs: "wasm",
      device: "wasm (simd, 1 thread)", // its threads start workers from blob: addresses, which Node refuses
      transposesInProduct: false,
      preciseErf: false,
      sumsInOrder: true,
      copiesUploads: true,
      checksIndices: false,
    },
  ],
  [
    "@tensorflow/tfjs-backend-cpu",
    {
      registeredAs: "cpu",
      device: "cpu (plain JavaScript)",
      transposesInProduct: false,
      preciseErf: false,
      sumsInOrder: false,
      copiesUploads: false,
      checksIndices: false,
    },
  ],
]);

/** Their short names, by which a knob asks for one, in the same order. */
const packagesByName = {
  "node-gpu": "@tensorflow/tfjs-node-gpu",
  node: "@tensorflow/tfjs-node",
  wasm: "@tensorflow/tfjs-backend-wasm",
  cpu: "@tensorflow/tfjs-backend-cpu",
} as const;

/** The short names of the engines, the fastest first. */
export const engineNames = ["node-gpu", "node", "wasm", "cpu"] as const;

/** The package of an engine by its short name; none for `auto`, which is the first that runs. */
export function packageOfEngine(name: keyof typeof packagesByName | "auto"): string | undefined {
  return name === "auto" ? undefined : packagesByName[name];
}

/** Where an engine computes; not known of `auto` until it is loaded. */
export function engineDevice(name: keyof typeof packagesByName | "auto"): string | undefined {
  return engines.get(packageOfEngine(name) ?? "")?.device;
}

/** The packages of the engines, the fastest first. */
export const enginePackages: readonly string[] = [...engines.keys()];

/**
 * Loads the first engine that is installed and multiplies two matrices correctly.
 *
 * @throws {KdataError} `package` when the core library is missing or no engine runs; the message says why for each.
 */
export async function loadEngine(packages: readonly string[] = enginePackages): Promise<TfjsEngine> {
  const core = await importCore();
  core.enableProdMode(); // the plain engine would print advice on its first use
  const passedOver: string[] = [];
  for (const packageName of packages) {
    const traits = engines.get(packageName);
    if (traits === undefined) throw new RangeError(`Cannot load ${packageName}: not an engine of TensorFlow.js`);
    const fault = await tryEngine(core, packageName, traits.registeredAs);
    if (fault === undefined) return { ...traits, core, packageName, passedOver };
    passedOver.push(`${packageName}: ${fault}`);
  }
  throw new KdataError("package", `Cannot use backend tfjs: no engine runs here (${passedOver.join("; ")})`, {
    hint: "npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0",
  });
}

async function importCore(): Promise<typeof Core> {
  try {
    return await import("@tensorflow/tfjs-core");
  } catch (cause) {
    throw new KdataError("package", "Cannot use backend tfjs: the package @tensorflow/tfjs-core is not installed", {
      hint: "npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0",
      cause,
    });
  }
}

/** Loads an engine and tests it. Gives what is wrong with it, or nothing. */
async function tryEngine(core: typeof Core, packageName: string, registeredAs: string): Promise<string | undefined> {
  try {
    await keepingProcessListeners(async () => {
      if (registeredAs === nativeTraits.registeredAs) restoreRemovedPredicate();
      await import(packageName);
      await core.setBackend(registeredAs);
    });
    if (core.getBackend() !== registeredAs) return "it does not start";
    return multipliesCorrectly(core) ? undefined : "it multiplies matrices wrongly";
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return "not installed";
    return error instanceof Error ? firstLine(error.message) : String(error);
  }
}

/** Emscripten's start code listens for uncaught errors of the whole process. They are not its business. */
async function keepingProcessListeners(load: () => Promise<void>): Promise<void> {
  const uncaught = process.listeners("uncaughtException");
  const unhandled = process.listeners("unhandledRejection");
  try {
    await load();
  } finally {
    for (const listener of process.listeners("uncaughtException")) {
      if (!uncaught.includes(listener)) process.removeListener("uncaughtException", listener);
    }
    for (const listener of process.listeners("unhandledRejection")) {
      if (!unhandled.includes(listener)) process.removeListener("unhandledRejection", listener);
    }
  }
}

/** The native engines call a function of node:util that Node 23 removed. */
function restoreRemovedPredicate(): void {
  if ("isNullOrUndefined" in util) return;
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === null || value === undefined });
}

function multipliesCorrectly(core: typeof Core): boolean {
  const product = core.tidy(() => {
    const matrix = core.tensor([1, 2, 3, 4], [2, 2], "float32");
    return core.matMul(matrix, matrix).dataSync();
  });
  return [7, 10, 15, 22].every((value, place) => product[place] === value);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}
