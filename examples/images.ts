// `npm run example:images`: pictures in colour, stored as TFRecord and as WebDataset, augmented in workers, classified by a CNN and by a
// small vision transformer, which leave as ONNX and predict in plain onnxruntime-node.
//
//   npm run example:images                                   emoji, nine classes; downloads a package of npm the first time
//   npm run example:images -- --data DIR                     any folder of images by class
//   npm run example:images -- --backend jax --model vit      choices; KDATA_BACKEND names the backend as well
//
// --format tfrecord,webdataset --encoding png (or jpg) --epochs --workers --batch-size
// --compare onnx,tfjs,jax: the backends whose first losses are compared; --output DIR: for the ONNX models and the contact sheets.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { KdataError, loader, type Loader } from "kdata";
import { losses, metrics, optimizers, progressBar, Trainer, type EpochLogs } from "kdata/trainer";
import {
  colorJitter,
  decodeImage,
  normalize,
  randomFlip,
  randomResizedCrop,
  resize,
  select,
  type TransformDescription,
} from "kdata/transforms";
import { readEmoji } from "./images/emoji.ts";
import { classifiers, IMAGE_SIZE, type Classifier } from "./images/models.ts";
import { classesOf, drawSheet, predictOnnx } from "./images/predict.ts";
import { readFolder, split, store, type Encoding, type Split } from "./images/store.ts";

const SEED = 42;
/** The backends are held to each other on a few small steps: jax-js convolves in seconds what ONNX Runtime does in milliseconds. */
const COMPARED_STEPS = 3;
const COMPARED_BATCH = 4;
const BACKEND_TOLERANCE = 1e-4; // relative, of a loss
const PREDICTION_TOLERANCE = 1e-4; // of a logit
const TEST_BATCH = 100;
const WANTED_GAIN = 2; // over saying the most frequent class, for models that were trained to the end

/** All epochs, one, or a few small steps. */
type Part = "whole" | "epoch" | "steps";

/** What a training run came to. */
interface Run {
  readonly model: string;
  readonly format: string;
  readonly backend: string;
  readonly part: Part;
  readonly batchSize: number;
  readonly losses: readonly number[];
  readonly logs: EpochLogs;
  /** On pictures that are held out; of a run of all its epochs. */
  readonly accuracy: number | undefined;
}

/** What came of a model that was exported. */
interface Exported {
  /** The greatest difference between the trainer's logits and those of ONNX Runtime alone. */
  readonly difference: number;
  /** Of ONNX Runtime's predictions. */
  readonly accuracy: number;
}

/** What the command line says. */
type Settings = ReturnType<typeof readFlags>;

/** Runs the whole of it; the exit code says whether all promises hold. */
export async function main(): Promise<void> {
  const settings = readFlags();
  const folder = mkdtempSync(join(tmpdir(), "kdata-images-"));
  try {
    const pictures = await (settings.data === undefined ? readEmoji() : readFolder(settings.data));
    const data = split(pictures, SEED);
    await store(folder, settings.formats, data, settings.encoding);
    describe(data, settings);
    const example = new Example(folder, data, settings);
    for (const model of settings.models) await example.show(model);
    example.printTable();
    if (!example.check()) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      data: { type: "string" },
      backend: { type: "string", default: process.env["KDATA_BACKEND"] ?? "onnx" },
      compare: { type: "string", default: "onnx,tfjs,jax" },
      format: { type: "string", default: "tfrecord,webdataset" },
      encoding: { type: "string", default: "png" },
      model: { type: "string", default: "cnn,vit" },
      epochs: { type: "string" },
      workers: { type: "string", default: "2" },
      "batch-size": { type: "string", default: "32" },
      output: { type: "string", default: fileURLToPath(new URL("../.cache/images", import.meta.url)) },
    },
  });
  return {
    data: values.data,
    backend: values.backend,
    compared: values.compare.split(",").filter((name) => name !== "" && name !== values.backend),
    formats: values.format.split(","),
    encoding: chosen("encoding", values.encoding, ["png", "jpg"]) as Encoding,
    models: values.model.split(",").map((name) => chosen("model", name, Object.keys(classifiers))),
    epochs: values.epochs === undefined ? undefined : Number(values.epochs),
    workers: Number(values.workers),
    batchSize: Number(values["batch-size"]),
    output: values.output,
  };
}

function chosen(flag: string, value: string, choices: readonly string[]): string {
  if (choices.includes(value)) return value;
  throw new KdataError("usage", `Cannot run: --${flag} is one of ${choices.join(", ")}, not ${JSON.stringify(value)}`);
}

function describe({ classes, train, test }: Split, { formats, encoding }: Settings): void {
  say(`${train.length} pictures to learn from, ${test.length} held out, ${classes.length} classes:`);
  say(`  ${classes.join(", ")}`);
  say(`stored as ${formats.join(" and ")}, ${encoding}\n`);
}

/** The runs, over one set of pictures. */
class Example {
  readonly #folder: string;
  readonly #data: Split;
  readonly #settings: Settings;
  readonly #runs: Run[] = [];
  readonly #exported = new Map<string, Exported>();

  constructor(folder: string, data: Split, settings: Settings) {
    this.#folder = folder;
    this.#data = data;
    this.#settings = settings;
  }

  /** Trains a model from the first format and predicts; then an epoch from each other format, and a few steps on each other backend. */
  async show(model: string): Promise<void> {
    const { backend, compared, formats } = this.#settings;
    const [first = "tfrecord", ...others] = formats;
    await this.#train(model, first, backend, "whole");
    for (const format of others) await this.#train(model, format, backend, "epoch");
    if (compared.length === 0) return;
    for (const one of [backend, ...compared]) await this.#train(model, first, one, "steps");
  }

  async #train(model: string, format: string, backend: string, part: Part): Promise<void> {
    const trainer = this.#trainer(model, backend);
    const batchSize = part === "steps" ? COMPARED_BATCH : this.#settings.batchSize;
    const [train, test] = await this.#open(format, batchSize);
    const losses: number[] = [];
    let logs: EpochLogs | undefined;
    const record = {
      onTrainBatchEnd: ({ loss }: { readonly loss: number }) => void losses.push(loss),
      onEpochEnd: (epoch: EpochLogs) => void (logs = epoch),
    };
    try {
      process.stderr.write(`${model} from ${format} on ${backend}\n`);
      await trainer.fit(train, {
        epochs: part === "whole" ? this.#epochs(model) : 1,
        ...(part === "steps" && { stepsPerEpoch: COMPARED_STEPS }),
        callbacks: [record, progressBar(process.stderr)],
      });
      if (!logs) throw new RangeError("Cannot show a run without epochs");
      const accuracy = part === "whole" ? (await trainer.evaluate(test))["accuracy"] : undefined;
      this.#runs.push({ model, format, backend, part, batchSize, losses, logs, accuracy });
      if (part === "whole") await this.#predict(model, trainer, test);
    } finally {
      await trainer.close();
      await train.close();
      await test.close();
    }
  }

  #trainer(model: string, backend: string): Trainer {
    const { learningRate, make } = classifierOf(model);
    const steps = this.#epochs(model) * this.#stepsPerEpoch();
    return new Trainer(make(this.#data.classes.length), {
      backend,
      optimizer: optimizers.adamW({
        learningRate: optimizers.cosineDecay({ peak: learningRate, warmupSteps: Math.round(steps / 10), steps }),
      }),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      metrics: [metrics.sparseCategoricalAccuracy()],
      seed: SEED,
    });
  }

  #epochs(model: string): number {
    return this.#settings.epochs ?? classifierOf(model).epochs;
  }

  #stepsPerEpoch(): number {
    return Math.floor(this.#data.train.length / this.#settings.batchSize);
  }

  /** Opens both halves. Everything up to the batch happens in the workers, and depends on (seed, epoch, record) alone. */
  async #open(format: string, batchSize: number): Promise<[train: Loader, test: Loader]> {
    const { encoding, workers } = this.#settings;
    const decoded = [select({ x: encoding, y: "cls" }), decodeImage("x")];
    const scaled = normalize("x", { scale: 1 / 255, mean: 0.5, std: 0.25 });
    const augmented: TransformDescription[] = [
      ...decoded,
      randomResizedCrop("x", IMAGE_SIZE, { scale: [0.75, 1] }),
      randomFlip("x"),
      colorJitter("x", { brightness: 0.1, contrast: 0.1, saturation: 0.1 }),
      scaled,
    ];
    const plain: TransformDescription[] = [...decoded, resize("x", [IMAGE_SIZE, IMAGE_SIZE]), scaled];
    const spec = (name: string): string => join(this.#folder, format, `${name}-*`);
    const shared = { seed: SEED, workers };
    return [
      await loader(spec("train"), { ...shared, transforms: augmented, batchSize, shuffle: true, remainder: "drop" }),
      await loader(spec("test"), { ...shared, transforms: plain, batchSize: TEST_BATCH }),
    ];
  }

  /** Exports the model, compares what it says without the trainer, and draws that. */
  async #predict(model: string, trainer: Trainer, test: Loader): Promise<void> {
    const { output } = this.#settings;
    const { classes, test: pictures } = this.#data;
    mkdirSync(output, { recursive: true });
    const path = join(output, `${model}.onnx`);
    writeFileSync(path, await trainer.exportOnnx());
    const { logits, labels } = await predictOnnx(path, test);
    const { data: expected } = await trainer.predict(test);
    const difference = worstOf(expected, (logit, i) => Math.abs(logit - (logits[i] ?? NaN)));
    const predicted = classesOf(logits, classes.length);
    const accuracy = predicted.filter((said, i) => said === labels[i]).length / labels.length;
    this.#exported.set(model, { difference, accuracy });
    const names = predicted.map((number) => classes[number] ?? "");
    await drawSheet(join(output, `${model}.png`), pictures, names);
    say(`${model}: ${path}, and what it says of held-out pictures in ${model}.png`);
  }

  printTable(): void {
    const header = [
      "model",
      "format",
      "backend",
      "batch",
      "steps",
      "first loss",
      "last loss",
      "test accuracy",
      "ms/step",
      "data wait",
    ];
    const rows = this.#runs.map(({ model, format, backend, batchSize, losses, logs, accuracy }) => [
      model,
      format,
      backend,
      String(batchSize),
      String(losses.length),
      (losses[0] ?? NaN).toFixed(6),
      (losses.at(-1) ?? NaN).toFixed(6),
      accuracy === undefined ? "" : percent(accuracy),
      logs.msPerStep.toFixed(1),
      `${(logs.dataWait * 100).toFixed(0)} %`,
    ]);
    const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
    say("");
    for (const row of [header, widths.map((width) => "─".repeat(width)), ...rows]) {
      say(row.map((cell, i) => (i < 3 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "));
    }
    say("");
  }

  /** Checks the promises and says how each went. */
  check(): boolean {
    const { epochs, models } = this.#settings;
    let isKept = true;
    const verdict = (holds: boolean, text: string): void => {
      isKept &&= holds;
      say(`${holds ? "ok    " : "FAILED"}  ${text}`);
    };
    for (const model of models) {
      const runs = this.#runs.filter((run) => run.model === model);
      const [whole] = runs;
      const exported = this.#exported.get(model);
      if (!whole || !exported) throw new RangeError(`Cannot check ${model}: it was not trained`);
      for (const { format, losses } of runs.filter(({ part }) => part === "epoch")) {
        const text = `${model}: the losses of ${whole.format} and ${format} are bit-equal at all ${losses.length} steps of an epoch`;
        verdict(
          losses.every((loss, i) => loss === whole.losses[i]),
          text,
        );
      }
      const [own, ...others] = runs.filter(({ part }) => part === "steps");
      for (const { backend, losses } of others) {
        const worst = worstOf(losses, (loss, i) => Math.abs(loss - (own?.losses[i] ?? NaN)) / Math.abs(loss));
        const text = `${model}: ${whole.backend} and ${backend} agree at each of ${losses.length} steps: worst relative difference ${worst.toExponential(1)}`;
        verdict(worst <= BACKEND_TOLERANCE, text);
      }
      verdict(
        exported.difference <= PREDICTION_TOLERANCE,
        `${model}: onnxruntime-node with the exported model gives predict's logits: worst difference ${exported.difference.toExponential(1)}`,
      );
      const text = `${model}: ${percent(exported.accuracy)} of the held-out pictures are classified right, the most frequent class is ${percent(this.#mostFrequent())}`;
      // A run of fewer epochs promises nothing.
      if (epochs === undefined) verdict(exported.accuracy >= WANTED_GAIN * this.#mostFrequent(), text);
      else say(`        ${text}`);
    }
    return isKept;
  }

  /** The share of the held-out pictures that one gets right who always says the same. */
  #mostFrequent(): number {
    const { classes, test } = this.#data;
    const counts = classes.map((name) => test.filter(({ className }) => className === name).length);
    return Math.max(...counts) / test.length;
  }
}

/** The greatest of all values; a NaN is the greatest. */
function worstOf<T extends number>(values: Iterable<T>, measure: (value: T, i: number) => number): number {
  let worst = 0;
  let i = 0;
  for (const value of values) {
    const one = measure(value, i++);
    worst = one <= worst ? worst : one;
  }
  return worst;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function classifierOf(model: string): Classifier {
  const found = classifiers[model];
  if (!found) throw new RangeError(`Cannot make model ${model}`);
  return found;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
