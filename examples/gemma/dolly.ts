// Questions and answers in the schema of databricks-dolly-15k, as batches of tokens: padded, or packed one behind the other.

import * as tokenizers from "@huggingface/tokenizers";
import { readFileSync } from "node:fs";
import { loader, type Batch } from "kdata";
import type { BatchSource } from "kdata/trainer";

const PAD_TOKEN = "<pad>";
const END_TOKEN = "<eos>";

/** How rows of tokens are made. */
export interface DollyOptions {
  /** Tokens of a row. */
  readonly sequenceLength: number;
  readonly batchSize: number;
  /** Puts texts one behind the other instead of filling each row up. Default false. */
  readonly packed?: boolean;
  /** Counts the tokens of the response alone in the loss. Default false. */
  readonly responseOnly?: boolean;
  readonly seed?: number;
  readonly workers?: number;
}

/** What is used of the package's tokenizer. */
interface Tokenizer {
  encode(text: string, options?: { readonly add_special_tokens?: boolean }): { readonly ids: readonly number[] };
  decode(ids: readonly number[], options?: { readonly skip_special_tokens?: boolean }): string;
  token_to_id(token: string): number | undefined;
  get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>;
}

/** The package's declarations do not resolve under Node's own rules. */
const { Tokenizer: HuggingFaceTokenizer } = tokenizers as unknown as {
  readonly Tokenizer: new (tokenizer: object, config: object) => Tokenizer;
};

/** A tokenizer and the numbers of its tokens that a model needs. */
export interface TextTokens {
  readonly tokenizer: Tokenizer;
  readonly pad: number;
  readonly end: number;
  readonly vocabularySize: number;
}

/** Tokens of one text and whether the loss counts each as a target. */
interface Text {
  readonly ids: readonly number[];
  readonly counts: readonly boolean[];
}

/** Reads a tokenizer.json. */
export function readTokenizer(path: string): TextTokens {
  const tokenizer = new HuggingFaceTokenizer(JSON.parse(readFileSync(path, "utf8")) as object, {});
  const number = (token: string): number => {
    const id = tokenizer.token_to_id(token);
    if (id === undefined) throw new RangeError(`Cannot read tokenizer: ${path} has no ${token}`);
    return id;
  };
  return { tokenizer, pad: number(PAD_TOKEN), end: number(END_TOKEN), vocabularySize: tokenizer.get_vocab(true).size };
}

/** What a model reads before it answers. */
export function promptOf(instruction: string): string {
  return `Instruction:\n${instruction}\n\nResponse:\n`;
}

/**
 * Opens a JSONL file, one iteration an epoch. Samples with a context are left out. Batches have `tokens`, `targets` (the next token of
 * each), `segments` (the number of the text in its row), int32, and `weights`, float32, all `[batch, sequenceLength]`.
 */
export async function openDolly(path: string, tokens: TextTokens, options: DollyOptions): Promise<BatchSource> {
  const { batchSize, seed = 0, workers = 0 } = options;
  const rows = await loader(path, { batchSize, shuffle: true, seed, workers });
  return {
    close: () => rows.close(),
    async *[Symbol.asyncIterator]() {
      let step = 0;
      for await (const rowsOfBatch of batchesOf(rowsOf(rows, tokens, options), batchSize)) {
        yield toBatch(rowsOfBatch, step++, options.sequenceLength, tokens.pad);
      }
    },
  };
}

/** The texts of one row. */
type Row = readonly Text[];

async function* rowsOf(
  batches: AsyncIterable<Batch>,
  tokens: TextTokens,
  { sequenceLength, packed = false, responseOnly = false }: DollyOptions,
): AsyncGenerator<Row> {
  let row: Text[] = [];
  let length = 0;
  for await (const batch of batches) {
    for (let i = 0; i < batch.size; i++) {
      if (cell(batch, "context", i) !== "") continue;
      const text = encode(cell(batch, "instruction", i), cell(batch, "response", i), tokens, responseOnly);
      // The last token is a target only, so a row has room for one more.
      const cut = { ids: text.ids.slice(0, sequenceLength + 1), counts: text.counts.slice(0, sequenceLength + 1) };
      if (row.length > 0 && (!packed || length + cut.ids.length - 1 > sequenceLength)) {
        yield row;
        row = [];
        length = 0;
      }
      row.push(cut);
      length += cut.ids.length - 1;
    }
  }
  if (row.length > 0) yield row;
}

function encode(instruction: string, response: string, { tokenizer, end }: TextTokens, responseOnly: boolean): Text {
  const prompt = tokenizer.encode(promptOf(instruction)).ids;
  const ids = [...prompt, ...tokenizer.encode(response, { add_special_tokens: false }).ids, end];
  return { ids, counts: ids.map((_, i) => !responseOnly || i >= prompt.length) };
}

function cell(batch: Batch, name: string, i: number): string {
  const column = batch.features[name];
  const value: unknown = Array.isArray(column) ? column[i] : undefined;
  if (typeof value === "string") return value;
  throw new RangeError(`Cannot read dolly: '${name}' of sample ${batch.keys[i] ?? i} is no string`);
}

async function* batchesOf(rows: AsyncIterable<Row>, batchSize: number): AsyncGenerator<Row[]> {
  let batch: Row[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < batchSize) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function toBatch(rows: readonly Row[], step: number, length: number, pad: number): Batch {
  const shape = [rows.length, length];
  const [tokens, targets] = [0, 0].map(() => new Int32Array(rows.length * length).fill(pad)) as [
    Int32Array,
    Int32Array,
  ];
  const segments = new Int32Array(rows.length * length).fill(-1);
  const weights = new Float32Array(rows.length * length);
  for (const [number, row] of rows.entries()) {
    let at = number * length;
    for (const [segment, { ids, counts }] of row.entries()) {
      for (let i = 0; i + 1 < ids.length; i++, at++) {
        tokens[at] = ids[i] ?? pad;
        targets[at] = ids[i + 1] ?? pad;
        segments[at] = segment;
        weights[at] = counts[i + 1] === true ? 1 : 0;
      }
    }
  }
  const batch: Batch = {
    size: rows.length,
    padded: 0,
    features: {
      tokens: { dtype: "int32", shape, data: tokens },
      targets: { dtype: "int32", shape, data: targets },
      segments: { dtype: "int32", shape, data: segments },
      weights: { dtype: "float32", shape, data: weights },
    },
    keys: rows.map((_, i) => String(i)),
    epoch: 0,
    step,
    release: () => undefined,
    copy: () => batch,
  };
  return batch;
}
