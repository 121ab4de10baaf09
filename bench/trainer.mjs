// How long one training step takes: kdata on onnx beside torch, Keras 3 on JAX and on torch, and stock tfjs on WebAssembly. The same
// models, weights, data and optimizer (Adam), two threads each; a step is what a user waits for: batch in, loss out. That all train the
// same is checked by the losses of the first steps; but for tfjs, which starts from weights of its own.
//
//   npm run bench -- trainer [--quick] [--only MODEL] [--python PYTHON]

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { alternate, median, spread } from "./harness.mjs";
import { openProducts } from "./matmul-model.mjs";
import { featuresOf, models, trainerOf } from "./trainer-models.mjs";

const WARM_STEPS = 3; // kernels are chosen and code is compiled by then
const COMPARED_STEPS = 3; // later, rounding has grown
const LOSS_TOLERANCE = 1e-3; // relative; Keras and torch place Adam's epsilon differently
const TFJS_STEPS = 4; // one takes a fifth of a second
const LARGE_WARM_STEPS = 2; // memory has grown to its size by then
const LARGE_STEPS = 3;
const FIRST_STEP_LIMIT_MS = 500;
const LARGE_PEERS = ["torch", "keras-jax"];
const PYTHON_PEERS = ["torch", "torch compiled", "keras-jax", "keras-torch"];

/** Measures every row, in milliseconds a step; `ratio` is the peer's time over ours. */
export async function run({ quick = false, python, isSmoke = false, only } = {}) {
  const rounds = quick ? 3 : 7;
  const wanted = models.filter(({ name, isLarge }) => (only === undefined ? !isLarge : name === only));
  const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
  const peers = python ? PYTHON_PEERS.map((way) => pythonPeer(python, way)) : [];
  const rows = [];
  try {
    for (const model of wanted.filter(({ isLarge }) => !isLarge)) {
      const steps = isSmoke ? 2 : model.steps[quick ? 0 : 1];
      const tfjs = model.name === "mlp" && !isSmoke ? [tfjsPeer(model.spec)] : [];
      rows.push(...(await rowsOf(model, [...peers, ...tfjs], { rounds: isSmoke ? 1 : rounds, steps, folder })));
      for (const each of tfjs) each.close();
    }
  } finally {
    for (const each of peers) each.close();
    rmSync(folder, { recursive: true, force: true });
  }
  if (only === undefined || only === "first") rows.push(firstStep(isSmoke ? 1 : rounds));
  const large = models.find(({ isLarge }) => isLarge);
  if (only === large.name || (only === undefined && !quick)) rows.push(...(await largeRows(large, python)));
  return rows;
}

async function rowsOf(model, peers, { rounds, steps, folder }) {
  const own = ownSteps(model);
  try {
    const weights = join(folder, `${model.name}.safetensors`);
    await own.save(weights);
    const { losses } = await own.steps(WARM_STEPS);
    const ready = [];
    for (const each of peers) {
      if (await isReady(each, { model: model.spec, weights, steps: WARM_STEPS }, losses)) ready.push(each);
    }
    const products = model.name === "mlp" ? await openProducts(productsOf(model.spec)) : undefined;
    const measured = await alternate(
      {
        ours: async () => (await own.steps(steps)).times.slice(1),
        ...Object.fromEntries(ready.map((each) => [each.name, () => each.times(steps)])),
        ...(products && { floor: () => timesOf(products, steps) }),
      },
      rounds,
    );
    return rowsFrom(model, measured);
  } finally {
    await own.close();
  }
}

/** Lets a peer make a model and its first steps; says whether it could. */
async function isReady(peer, request, losses) {
  return isSame(peer, request, await peer.ask(request), losses);
}

/** Other losses than ours would be another model. */
function isSame(peer, request, answer, losses) {
  if (answer.missing !== undefined) {
    process.stderr.write(`${request.model.kind}, ${peer.name}: not measured, ${answer.missing}\n`);
    return false;
  }
  for (const [step, loss] of (answer.losses ?? []).slice(0, COMPARED_STEPS).entries()) {
    if (Math.abs(loss - losses[step]) <= LOSS_TOLERANCE * losses[step]) continue;
    throw new Error(`${request.model.kind}, ${peer.name}: the losses ${answer.losses} are not ours, ${losses}`);
  }
  return true;
}

function rowsFrom({ title }, { ours, floor, ...peers }) {
  const row = (name, times) => ({
    name: `${title} / ${name}`,
    ours: median(ours),
    peer: times && median(times),
    unit: "ms/step",
    ratio: times && median(times) / median(ours),
    spread: spread(ours),
    peerSpread: times && spread(times),
    ...(floor && { raw: median(floor), rawName: "its products alone, onnx" }),
  });
  const { "tfjs-wasm": tfjs, ...python } = peers;
  const byTime = Object.entries(python).sort(([, a], [, b]) => median(a) - median(b));
  return [
    row("the best peer in Python", byTime[0]?.[1]),
    ...byTime.map(([name, times]) => row(name, times)),
    ...(tfjs ? [row("stock tfjs-wasm", tfjs)] : []),
  ];
}

/** Time from making a trainer of the ViT to the end of its first step, each in a process of its own. */
function firstStep(rounds) {
  const times = Array.from({ length: rounds }, () => Number(inOwnProcess("vit", 1).times[0]));
  const ours = median(times);
  const name = "first step of the ViT, limit 0.5 s";
  return {
    name,
    ours,
    peer: FIRST_STEP_LIMIT_MS,
    unit: "ms",
    ratio: FIRST_STEP_LIMIT_MS / ours,
    spread: spread(times),
  };
}

/** The whole ViT-Base in a process of its own, and then in each peer's: two at once would not fit. */
async function largeRows(model, python) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
  try {
    const weights = join(folder, "weights.safetensors");
    const own = inOwnProcess(model.name, LARGE_WARM_STEPS + LARGE_STEPS, weights);
    const rows = [];
    for (const way of python ? LARGE_PEERS : [undefined]) {
      const peer = way && (await largePeer(model, pythonPeer(python, way), weights, own));
      rows.push(largeRow(`${model.title} / ${way ?? "torch"}`, own, peer));
    }
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function largePeer({ spec }, peer, weights, own) {
  try {
    const request = { model: spec, weights, steps: LARGE_WARM_STEPS + LARGE_STEPS };
    const answer = await peer.ask(request);
    return isSame(peer, request, answer, own.losses) ? answer : undefined;
  } finally {
    peer.close();
  }
}

function largeRow(name, ...sides) {
  const [ours, peer] = sides.map((side) => side && median(side.times.slice(LARGE_WARM_STEPS)));
  const [own, its] = sides.map((side) => side && `${(side.peakMib / 1024).toFixed(1)} GiB`);
  process.stderr.write(`${name}: ${own} of memory at most${its ? `, to ${its}` : ""}\n`);
  return { name, ours, peer, unit: "ms/step", ratio: peer && peer / ours };
}

function inOwnProcess(name, steps, weights) {
  const script = fileURLToPath(import.meta.url);
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  const { stdout } = spawnSync(process.execPath, [script, name, String(steps), weights ?? ""], options);
  return JSON.parse(stdout);
}

/** Steps of kdata in one trainer that stays: gives the milliseconds and the loss of each. */
function ownSteps(model) {
  const trainer = trainerOf(model);
  const features = featuresOf(model);
  const { batch: size } = model.spec;
  const keys = Array.from({ length: size }, (_, i) => String(i));
  return {
    async steps(count) {
      const [times, losses] = [[], []];
      let before = performance.now();
      const onTrainBatchEnd = ({ loss }) => {
        const now = performance.now();
        times.push(now - before);
        losses.push(loss);
        before = now;
      };
      await trainer.fit(batchesOf(count), { callbacks: [{ onTrainBatchEnd }] });
      return { times, losses };
    },
    async save(path) {
      await trainer.predict(batchesOf(1)); // opens the session
      await trainer.save(path, { weightsOnly: true });
    },
    close: () => trainer.close(),
  };

  function* batchesOf(count) {
    for (let step = 0; step < count; step++) {
      const batch = { size, padded: 0, features, keys, epoch: 0, step, release() {}, copy: () => batch };
      yield batch;
    }
  }
}

/** Forward and backward products of the MLP: rows, inner, columns. */
function productsOf({ inputs, hidden, classes, batch }) {
  return [
    [batch, inputs, hidden],
    [batch, hidden, hidden],
    [batch, hidden, classes],
    [inputs, batch, hidden], // gradients of the weights
    [hidden, batch, hidden],
    [hidden, batch, classes],
    [batch, hidden, hidden], // gradients of the activations
    [batch, classes, hidden],
  ];
}

async function timesOf(action, count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await action();
    times.push(performance.now() - start);
  }
  return times.slice(1);
}

function tfjsPeer({ inputs, hidden }) {
  const each = peer("tfjs-wasm", process.execPath, ["trainer-tfjs.mjs", String(inputs), String(hidden)]);
  return { ...each, times: () => each.times(TFJS_STEPS) };
}

function pythonPeer(python, way) {
  return peer(way, python, ["trainer.py", way]);
}

/** A process that answers a line with a line: how many steps to make, with how long they took and what they lost. */
function peer(name, command, [script, ...parameters]) {
  const path = fileURLToPath(new URL(`peers/${script}`, import.meta.url));
  const child = spawn(command, [path, ...parameters], { stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function ask(request) {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    return done ? { missing: "the process ended" } : JSON.parse(value);
  }
  return {
    name,
    ask,
    times: async (steps) => (await ask({ steps })).times,
    close: () => void child.kill(),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, steps, weights] = process.argv.slice(2);
  const own = ownSteps(models.find((each) => each.name === name));
  if (weights) await own.save(weights);
  const { times, losses } = await own.steps(Number(steps));
  await own.close();
  console.log(JSON.stringify({ times, losses, peakMib: process.resourceUsage().maxRSS / 1024 }));
}
