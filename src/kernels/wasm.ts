// Loads the WebAssembly modules that the build makes of kernels/*.ts.

import { readFileSync } from "node:fs";

/** The same place from src/kernels/ and from dist/kernels/. */
const FOLDER = new URL("../../dist/kernels/", import.meta.url);

/** Memory of a kernel. Growing it detaches every view of it. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  /** Adds pages of 64 KiB; gives the number there were. */
  grow(pages: number): number;
}

/** What every kernel exports beside its functions. */
export interface KernelExports {
  readonly memory: KernelMemory;
  /** Gives the first byte that the module itself does not use. */
  heapBase(): number;
}

/** The part of the global that is used here: Node's types leave it to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const PAGE_BYTES = 1 << 16;

const modules = new Map<string, object>();

/** Makes an instance of a kernel with memory of its own. The module is compiled once a thread. */
export function instantiateKernel(name: string): KernelExports {
  let module = modules.get(name);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(new URL(`${name}.wasm`, FOLDER)));
    modules.set(name, module);
  }
  return new WebAssembly.Instance(module).exports as KernelExports;
}

/** Gives a new instance memory for its caller and says where that begins: at a multiple of 16. Views made earlier are detached. */
export function reserveHeap(kernel: KernelExports, byteLength: number): number {
  const base = Math.ceil(kernel.heapBase() / 16) * 16;
  const missing = base + byteLength - kernel.memory.buffer.byteLength;
  if (missing > 0) kernel.memory.grow(Math.ceil(missing / PAGE_BYTES));
  return base;
}
