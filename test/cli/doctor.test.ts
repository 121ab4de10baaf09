import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { backendNames } from "../../src/trainer/registry.ts";
import { kdata, masked } from "./run-kdata.ts";

/** Makes a package look as if it were not installed. */
function without(name: string): Record<string, string> {
  const hook = `export async function resolve(specifier, context, next) {
    if (specifier === ${JSON.stringify(name)} || specifier.startsWith(${JSON.stringify(`${name}/`)})) {
      throw Object.assign(new Error("Cannot find package '${name}'"), { code: "ERR_MODULE_NOT_FOUND" });
    }
    return next(specifier, context);
  }`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(dataUrl(hook))});`;
  return { NODE_OPTIONS: `--import=${dataUrl(register)}` };
}

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

test("doctor says what there is: Node, checksums, every backend with its device", async () => {
  const { code, stdout, stderr } = await kdata(["doctor"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = masked(stdout).trimEnd().split("\n");
  const endOfLife = process.versions.node.startsWith("20.") ? "  warn: end of life; 22 or 24 recommended" : "";
  expect(lines[0]).toBe(`node      ${process.versions.node}${endOfLife}`);
  expect(lines[1]).toBe("crc32c    WebAssembly (N MiB/s)");
  expect(lines[2]).toMatch(/^image {5}jpeg-turbo 2\.3\.0, sharp 0\.35\.5$/);
  expect(lines[3]).toMatch(/^backends {2}onnx 1\.30\.0 cpu.* ok · tfjs .* ok · reference .* ok$/);
});

test("doctor --json has the same for programs", async () => {
  const report = JSON.parse((await kdata(["doctor", "--json"])).stdout) as {
    schema: string;
    backends: { name: string }[];
  };
  expect(report).toMatchObject({ schema: "kdata.doctor/1", node: { version: process.versions.node } });
  expect(report.backends.map(({ name }) => name)).toEqual(backendNames);
});

test("a package that is missing is said, with the way to install it, and is no failure", async () => {
  const { code, stdout } = await kdata(["doctor"], { env: without("onnxruntime-node") });
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^ {10}Cannot use backend onnx: the package onnxruntime-node is not installed; npm install onnxruntime-node@\S+$/m,
  );
});

test("whoever needs the missing package gets exit code 6 and the same hint", async () => {
  const module = fileURLToPath(new URL("../../examples/mnist.ts", import.meta.url));
  expect(await kdata(["train", module], { env: without("onnxruntime-node") })).toEqual({
    code: 6,
    stdout: "",
    stderr:
      "kdata: error[package]: Cannot use backend onnx: the package onnxruntime-node is not installed\n" +
      "cause: Cannot find package 'onnxruntime-node'\nhint: npm install onnxruntime-node@1.30.0\n",
  });
});
