import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { enginePackages } from "../../src/trainer/backends/tfjs-engines.ts";
import { backendNames, openBackend, resolveBackendName } from "../../src/trainer/registry.ts";

/** An empty folder in the place of a package hides one of that name in a folder further up. */
const optionalPackages = ["onnxruntime-node", "@jax-js/jax", "@tensorflow/tfjs-core", ...enginePackages];

const root = fileURLToPath(new URL("../../", import.meta.url));

describe("resolveBackendName()", () => {
  afterEach(() => vi.unstubAllEnvs());

  test("prefers the option to the environment, and the environment to onnx", () => {
    vi.stubEnv("KDATA_BACKEND", "tfjs");
    expect(resolveBackendName("reference")).toBe("reference");
    expect(resolveBackendName()).toBe("tfjs");
    vi.stubEnv("KDATA_BACKEND", "");
    expect(resolveBackendName()).toBe("onnx");
    vi.stubEnv("KDATA_BACKEND", undefined);
    expect(resolveBackendName()).toBe("onnx");
  });
});

describe("openBackend()", () => {
  test("opens every backend under its own name", async () => {
    for (const name of backendNames) expect((await openBackend(name)).name).toBe(name);
  });

  test.each([
    ["onx", "unknown backend 'onx' (known: onnx, tfjs, jax, reference; did you mean onnx?)"],
    ["torch", "unknown backend 'torch' (known: onnx, tfjs, jax, reference)"],
    ["constructor", "unknown backend 'constructor' (known: onnx, tfjs, jax, reference)"],
  ])("refuses the name %s", async (name, message) => {
    await expect(openBackend(name)).rejects.toMatchObject({ code: "usage", message });
  });
});

describe("openBackend() where an optional package is missing", () => {
  let folder = "";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kdata-registry-"));
    await cp(join(root, "dist/core"), join(folder, "dist/core"), { recursive: true });
    await cp(join(root, "dist/trainer"), join(folder, "dist/trainer"), { recursive: true });
    await cp(join(root, "package.json"), join(folder, "package.json"));
    await link("protobufjs");
    for (const name of optionalPackages) await mkdir(join(folder, "node_modules", name), { recursive: true });
  });

  afterAll(() => rm(folder, { recursive: true }));

  test("names onnxruntime-node and how to install it", async () => {
    expect(await openInChild("onnx")).toEqual({
      code: "package",
      message: "Cannot use backend onnx: the package onnxruntime-node is not installed",
      hint: "npm install onnxruntime-node@1.30.0",
    });
  });

  test("names the core of TensorFlow.js, then the engines that are missing", async () => {
    const hint = "npm install @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0";
    expect(await openInChild("tfjs")).toEqual({
      code: "package",
      message: "Cannot use backend tfjs: the package @tensorflow/tfjs-core is not installed",
      hint,
    });
    await link("@tensorflow/tfjs-core");
    const { code, message } = await openInChild("tfjs");
    expect(code).toBe("package");
    expect(message).toContain("no engine runs here (@tensorflow/tfjs-node-gpu: not installed; ");
    expect(message).toContain("@tensorflow/tfjs-backend-cpu: not installed)");
  });

  test("names jax-js", async () => {
    expect(await openInChild("jax")).toEqual({
      code: "package",
      message: "Cannot use backend jax: the package @jax-js/jax is not installed",
      hint: "npm install @jax-js/jax@0.1.25",
    });
  });

  test("opens what needs no package", async () => {
    expect(await openInChild("reference")).toEqual({ name: "reference" });
  });

  async function link(packageName: string): Promise<void> {
    const target = join(folder, "node_modules", packageName);
    await rm(target, { recursive: true, force: true });
    await mkdir(dirname(target), { recursive: true });
    await symlink(join(root, "node_modules", packageName), target, "junction");
  }

  /** Opens a backend in a process of its own, out of the folder that has next to no packages. */
  async function openInChild(name: string): Promise<Record<string, string>> {
    const script = `
      const { openBackend } = await import("./dist/trainer/registry.js");
      const result = await openBackend(process.argv[1]).then(
        ({ name }) => ({ name }),
        ({ code, message, hint }) => ({ code, message, hint }),
      );
      console.log(JSON.stringify(result));
    `;
    const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script, name], {
      cwd: folder,
    });
    return JSON.parse(child.stdout) as Record<string, string>;
  }
});
