// Checkpoints on the disk, each a folder: `step-00000120/` with `state.safetensors`, `run.json`, and `manifest.json`, which has size and
// CRC-32C of the other two. It is written under a partial name, synced, and renamed, so what has the final name is whole.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { KdataError, messageOf } from "../core/errors.ts";
import { checksumOf } from "../kernels/checksum.ts";
import type { HostTensor } from "./backend.ts";
import { readSafetensors, safetensorsParts } from "./checkpoint.ts";
import { formatState, joinTensors, parseState, type RunState } from "./checkpoint-state.ts";

const TENSORS = "state.safetensors";
const STATE = "run.json";
const MANIFEST = "manifest.json";
const STEP_DIGITS = 8; // names of up to 99,999,999 steps sort as text
const NAME = /^step-(\d+)(\.old)?$/;

/** A checkpoint that was read. */
export interface LoadedCheckpoint {
  readonly path: string;
  readonly state: RunState;
  /** The session's tensors. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Newer ones that are damaged. */
  readonly damaged: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Lists the checkpoints of a folder, the newest first. One that was set aside while another takes its place (`.old`) is behind it.
 */
export function listCheckpoints(folder: string): readonly { readonly name: string; readonly step: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const [, step] = NAME.exec(name) ?? [];
      return step === undefined ? [] : [{ name, step: Number(step) }];
    })
    .sort((a, b) => b.step - a.step || a.name.length - b.name.length);
}

/**
 * Reads the newest checkpoint whose checksums hold. `undefined` when the folder has none at all.
 *
 * @throws {KdataError} `checksum` when there are some and none is whole.
 */
export function readNewest(folder: string): LoadedCheckpoint | undefined {
  const damaged: { path: string; reason: string }[] = [];
  for (const { name } of listCheckpoints(folder)) {
    const path = join(folder, name);
    try {
      return { path, ...readCheckpoint(path), damaged };
    } catch (error) {
      damaged.push({ path, reason: messageOf(error) });
    }
  }
  const [newest] = damaged;
  if (!newest) return undefined;
  throw new KdataError("checksum", `Cannot resume: no checkpoint of ${folder} is whole; the newest: ${newest.reason}`);
}

/**
 * Writes a checkpoint without blocking, whole or not at all.
 *
 * @throws {KdataError} `output` when the disk refuses.
 */
export async function writeCheckpoint(
  folder: string,
  session: ReadonlyMap<string, HostTensor>,
  state: RunState,
): Promise<void> {
  const name = `step-${String(state.step).padStart(STEP_DIGITS, "0")}`;
  const partial = join(folder, `.${name}.partial`);
  const path = join(folder, name);
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const files: Record<string, FileEntry> = {
      [TENSORS]: await writeSynced(join(partial, TENSORS), safetensorsParts(joinTensors(session, state))),
      [STATE]: await writeSynced(join(partial, STATE), [encode(formatState(state))]),
    };
    await writeSynced(join(partial, MANIFEST), [encode(JSON.stringify({ version: 1, files }))]);
    await syncFolder(partial);
    // A run that went on from an older checkpoint comes by this step again.
    const isTaken = existsSync(path);
    if (isTaken) {
      await rm(`${path}.old`, { recursive: true, force: true });
      await rename(path, `${path}.old`);
    }
    await rename(partial, path);
    await syncFolder(folder);
    if (isTaken) await rm(`${path}.old`, { recursive: true, force: true });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw new KdataError("output", `Cannot write checkpoint ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Removes all but the newest `keep` checkpoints and the one of the step `best`. */
export async function pruneCheckpoints(folder: string, keep: number, best: number | undefined): Promise<void> {
  for (const { name, step } of listCheckpoints(folder).slice(keep)) {
    if (step !== best) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Removes every checkpoint of a folder, and nothing else. */
export async function removeCheckpoints(folder: string): Promise<void> {
  await pruneCheckpoints(folder, 0, undefined);
}

interface FileEntry {
  readonly bytes: number;
  readonly crc32c: number;
}

function readCheckpoint(path: string): { state: RunState; tensors: Map<string, HostTensor> } {
  const manifest: unknown = JSON.parse(readFileSync(join(path, MANIFEST), "utf8"));
  const files = (manifest as { files?: Partial<Record<string, FileEntry>> } | null)?.files;
  for (const name of [TENSORS, STATE]) {
    const entry = files?.[name];
    const source = join(path, name);
    if (typeof entry !== "object") {
      throw new KdataError("format", `Cannot read checkpoint: its manifest does not have ${name}`, { at: { source } });
    }
    const bytes = readFileSync(source);
    if (bytes.length !== entry.bytes || checksumOf(bytes) !== entry.crc32c) {
      throw new KdataError("checksum", "Cannot read checkpoint: the checksum does not match", { at: { source } });
    }
  }
  const { tensors } = readSafetensors(join(path, TENSORS));
  const { state, session } = parseState(readFileSync(join(path, STATE), "utf8"), tensors, join(path, STATE));
  return { state, tensors: session };
}

/** Writes and syncs a file, and gives what the manifest says of it. */
async function writeSynced(path: string, parts: readonly Uint8Array[]): Promise<FileEntry> {
  const bytes = Buffer.concat(parts);
  const file = await open(path, "w");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes: bytes.length, crc32c: checksumOf(bytes) };
}

/** Makes the names in a folder durable. Windows has no such call, and needs none. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
