// Finds the Python that holds the reference tools: one that is given, or a virtual environment of kdata's own, made when it is needed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Of the cross-checks: test/interop. */
export const interopRequirements = join(root, "test", "interop", "requirements.txt");
/** Of benchmarks and faults: what kdata is compared with. */
export const peerRequirements = join(root, "bench", "peers", "requirements.txt");

/** Names the system's Python; `undefined` where there is none. */
export function systemPython() {
  return ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);
}

/**
 * Makes the virtual environment `.cache/<name>-venv` with what a requirements file lists, if it is not there yet or the file changed.
 * Gives its interpreter; ends the process where that fails.
 */
export function virtualPython(system, name, requirements) {
  const venv = join(root, ".cache", `${name}-venv`);
  const python = process.platform === "win32" ? join(venv, "Scripts", "python.exe") : join(venv, "bin", "python");
  const wanted = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const stamp = join(venv, ".requirements");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return python;
  process.stderr.write(`${name}: installing the reference tools (pip)\n`);
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(join(root, ".cache"), { recursive: true });
  run(system, ["-m", "venv", venv]);
  run(python, ["-m", "pip", "install", "--quiet", "-r", requirements]);
  writeFileSync(stamp, wanted);
  return python;
}

/**
 * Chooses the Python of the peers by the options `--python PATH` and `--no-peers`, and KDATA_PYTHON: `undefined` for none. Without
 * any of them it makes the virtual environment.
 */
export function peerPython({ python = process.env.KDATA_PYTHON, peers = true }) {
  if (!peers) return undefined;
  if (python) return python;
  const system = systemPython();
  if (system === undefined) {
    process.stderr.write("no python3 on this machine: the peers in Python are left out\n");
    return undefined;
  }
  return virtualPython(system, "peers", peerRequirements);
}

/** Gives `{ package: version }` of what a Python has installed of the peers' packages. */
export function packageVersions(python) {
  const names = readFileSync(peerRequirements, "utf8")
    .split("\n")
    .filter((line) => line.includes("=="))
    .map((line) => line.split("==")[0]);
  const script = [
    "import importlib.metadata as m, json, platform, sys",
    "found = {d.metadata['Name'].replace('_', '-').lower(): d.version for d in m.distributions()}",
    "print(json.dumps({'python': platform.python_version(), **{n: found[n] for n in sys.argv[1:] if n in found}}))",
  ].join("\n");
  return JSON.parse(run(python, ["-c", script, ...names], "pipe"));
}

function run(command, args, stdout = "inherit") {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", stdout, "inherit"], encoding: "utf8" });
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result.stdout;
}
