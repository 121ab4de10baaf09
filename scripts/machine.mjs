// What a result was measured on: machine, load, versions, date.
import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { packageVersions } from "./python.mjs";

const PACKAGES = [
  "onnxruntime-node",
  "@tensorflow/tfjs-core",
  "@tensorflow/tfjs-backend-wasm",
  "@jax-js/jax",
  "@julusian/jpeg-turbo",
  "sharp",
  "protobufjs",
  "hyparquet",
];

/** Describes where and when a result comes from; `python` is the interpreter of the peers, if there are any. */
export function machine(python) {
  return {
    date: new Date().toISOString().slice(0, 16),
    machine: {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: cpus().length,
      memoryGib: Math.round(totalmem() / 2 ** 30),
      platform: `${process.platform} ${process.arch}`,
      loadAverage: loadavg().map((load) => Number(load.toFixed(1))),
    },
    versions: {
      node: process.versions.node,
      ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
      ...(python && packageVersions(python)),
    },
  };
}

function versionOf(name) {
  const path = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path, "utf8")).version;
}
