// `kdata doctor`: what this machine can do, and what is missing.

import { KdataError } from "../core/errors.ts";
import { crc32c } from "../readers/crc32c.ts";
import { backendNames, openBackend } from "../trainer/registry.ts";
import { imagePackages, imagePackageVersion, type ImagePackage } from "../transforms/index.ts";
import type { CommandDefinition } from "./command.ts";

/** Versions before it get no more fixes: https://nodejs.org/en/about/previous-releases. */
const OLDEST_MAINTAINED_NODE = 22;
const RECOMMENDED_NODE = "22 or 24";
const CHECKSUM_BYTES = 1 << 20; // fits the caches, as the records of a shard do
const CHECKSUM_MS = 50;

/** What {@link doctor} found; `kdata doctor --json` prints it. */
export interface DoctorReport {
  readonly schema: "kdata.doctor/1";
  readonly node: {
    readonly version: string;
    readonly platform: string;
    readonly arch: string;
    /** No more security fixes are made for this version. */
    readonly endOfLife: boolean;
  };
  readonly crc32c: { readonly bytesPerSecond: number };
  /** Packages that decode images; without a version: not installed, or not for this machine. */
  readonly image: readonly { readonly name: ImagePackage; readonly version?: string }[];
  readonly backends: readonly BackendReport[];
}

/** What became of opening one training backend. */
export type BackendReport =
  | { readonly name: string; readonly ok: true; readonly engine: string; readonly device: string }
  | { readonly name: string; readonly ok: false; readonly reason: string; readonly hint?: string };

/** Tries everything that depends on the machine: the Node version, the speed of checksums, every training backend. */
export async function doctor(): Promise<DoctorReport> {
  const backends: BackendReport[] = [];
  for (const name of backendNames) backends.push(await tryBackend(name));
  return {
    schema: "kdata.doctor/1",
    node: {
      version: process.versions.node,
      platform: process.platform,
      arch: process.arch,
      endOfLife: Number.parseInt(process.versions.node, 10) < OLDEST_MAINTAINED_NODE,
    },
    crc32c: { bytesPerSecond: measureChecksum() },
    image: imagePackages.map((name) => {
      const version = imagePackageVersion(name);
      return { name, ...(version !== undefined && { version }) };
    }),
    backends,
  };
}

/** The verb for the command line. */
export const doctorCommand: CommandDefinition = {
  configure(command) {
    command.addHelpText("after", "\nWhat is missing is said, and is no failure: the exit code is 0.");
  },
  async run({ output }) {
    const report = await doctor();
    await output.report(report, doctorLines(report));
    return undefined;
  },
};

async function tryBackend(name: string): Promise<BackendReport> {
  try {
    const { engine, device } = await openBackend(name);
    return { name, ok: true, engine, device };
  } catch (error) {
    // Whatever a third-party engine throws while it loads is what this command is there to tell.
    const reason = error instanceof KdataError ? error.reason : `Cannot use backend ${name}: ${String(error)}`;
    const hint = error instanceof KdataError ? error.hint : undefined;
    return { name, ok: false, reason, ...(hint !== undefined && { hint }) };
  }
}

/** The best of many rounds: what else the machine does is not the question. */
function measureChecksum(): number {
  const view = new DataView(new Uint8Array(CHECKSUM_BYTES).map((_, i) => i * 31).buffer);
  const end = performance.now() + CHECKSUM_MS;
  let bestMs = Infinity;
  while (performance.now() < end) {
    const start = performance.now();
    crc32c(view);
    bestMs = Math.min(bestMs, performance.now() - start);
  }
  return Math.round((CHECKSUM_BYTES * 1000) / bestMs);
}

function doctorLines({ node, crc32c: checksum, image, backends }: DoctorReport): string[] {
  const warning = node.endOfLife ? `  warn: end of life; ${RECOMMENDED_NODE} recommended` : "";
  const working = backends.flatMap((backend) => (backend.ok ? [`${backendTitle(backend)} ok`] : []));
  const lines = [
    `node      ${node.version}${warning}`,
    `crc32c    WebAssembly (${(checksum.bytesPerSecond / 1e9).toFixed(1)} GB/s)`,
    `image     ${image.map(({ name, version }) => `${withoutScope(name)} ${version ?? "not installed"}`).join(", ")}`,
    `backends  ${working.length > 0 ? working.join(" · ") : "none"}`,
  ];
  for (const backend of backends) {
    if (!backend.ok) lines.push(`          ${backend.reason}${backend.hint === undefined ? "" : `; ${backend.hint}`}`);
  }
  return lines;
}

function withoutScope(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** `onnx 1.30.0 cpu (2 threads)`: the engine's name says little to who chose the backend, its version does. */
function backendTitle({ name, engine, device }: { name: string; engine: string; device: string }): string {
  const version = /\s(\d\S*)$/.exec(engine)?.[1];
  return [name, version, device].filter((part) => part !== undefined).join(" ");
}
