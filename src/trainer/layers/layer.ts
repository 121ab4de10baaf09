// The layer: a part of a model that owns parameters, and the tracing of a model into a graph.

import { KdataError } from "../../core/errors.ts";
import { elementCount } from "../../core/tensor.ts";
import { Sym, type Graph } from "../graph.ts";
import { glorotUniform, zeros, type Initializer } from "../initializers.ts";
import { roundTo } from "../ops/elementwise.ts";
import { checkPrecision, formatOf, type Precision } from "../precision.ts";
import { formatShape, formatSpec, sameShape } from "../primitives.ts";

/** A float32 tensor that a layer owns and training changes. */
export interface Parameter {
  /** The layer's path and the parameter's name: `encoder/dense_1/kernel`. */
  readonly path: string;
  readonly shape: readonly number[];
  /** Whether the optimizer changes it: not where it, its layer or a layer around that is frozen, nor where it is a layer's state. */
  readonly trainable: boolean;
  readonly initializer: Initializer;
}

/** How a parameter starts and whether training changes it. */
export interface ParameterOptions {
  /** Default `glorotUniform`. */
  readonly initializer?: Initializer;
  /** Default true. */
  readonly trainable?: boolean;
}

/** How a layer's state starts. */
export interface StateOptions {
  /** Default `zeros`. */
  readonly initializer?: Initializer;
}

/** What every layer takes. */
export interface LayerOptions {
  /** Stands in the path of the layer's parameters instead of the property that holds it. */
  readonly name?: string | undefined;
  /** False freezes the parameters of the layer and of the layers inside it. Default true. */
  readonly trainable?: boolean | undefined;
  /**
   * The precision of the layer and of the layers inside it, `float32` to keep one out of a mixed policy. Default: that of the layer
   * around, of the trainer at last.
   */
  readonly dtype?: Precision | undefined;
}

/** The options that every layer takes. */
export const layerOptions: Readonly<Record<keyof LayerOptions, true>> = { name: true, trainable: true, dtype: true };

/** Their names. */
export const layerOptionNames: readonly string[] = Object.keys(layerOptions);

/** Several values by name: what a layer of several inputs takes. */
export type SymRecord = Readonly<Record<string, Sym>>;

/** A layer, whatever it takes. */
export type AnyLayer = Layer<never>;

/** What a trainer trains: a layer of one input, or of several by name. */
export type Model = Layer | Layer<SymRecord>;

/** One layer of a traced model. */
export interface TracedLayer {
  readonly path: string;
  /** The name of its class. */
  readonly type: string;
  /** Of its first application. */
  readonly outputShape: readonly number[];
  /** Elements of its own parameters and state, those of the layers inside not among them. */
  readonly parameterCount: number;
}

/** What the trace of a model found, in the order of the computation. */
export interface TracedModel {
  readonly output: Sym;
  /** State of layers is among them, as parameters that are not trainable. */
  readonly parameters: readonly { readonly parameter: Parameter; readonly sym: Sym }[];
  /** What a training step makes of the layers' state, by path; none where the trace is of no training step. */
  readonly updates: ReadonlyMap<string, Sym>;
  readonly layers: readonly TracedLayer[];
}

/** What a layer uses in place of one of its parameters. */
export interface ParameterAdapter {
  /**
   * Computes it of the parameter. `own` makes a parameter beside it, under a name of the layer, which training changes even
   * where the layer is frozen.
   */
  adapt(parameter: Sym, own: (name: string, shape: readonly number[], initializer: Initializer) => Sym): Sym;
}

/** By layer and the parameter's name. */
const adapters = new WeakMap<AnyLayer, Map<string, ParameterAdapter>>();

/** The trace that is under way. Tracing is synchronous, so there is one at most, and layers find it here. */
let currentTrace: Trace | undefined;

/**
 * A part of a model: a function over values of the graph, with parameters.
 *
 * A subclass keeps the layers inside it in ordinary properties, alone or in arrays; their names make the paths of the
 * parameters. It may be applied more than once and has the same parameters each time.
 *
 * `Input` is what it takes: one value, or a record of several.
 *
 * @example
 * class Residual extends Layer {
 *   readonly project = layers.dense(16);
 *   call(x: Sym): Sym {
 *     return ops.add(ops.mul(x, this.param("scale", [16])), this.project.apply(x));
 *   }
 * }
 */
export abstract class Layer<Input = Sym> {
  /** Stands in the path instead of the property's name, where it is set. */
  readonly name: string | undefined;

  /**
   * False freezes the parameters of the layer and of the layers inside it. It is read when a model is traced, so set it
   * before the trainer's first batch.
   */
  trainable: boolean;

  /** The precision of the layer and of the layers inside it, where it is set; read when a model is traced. */
  readonly dtype: Precision | undefined;

  constructor({ name, trainable = true, dtype }: LayerOptions = {}) {
    this.name = name;
    this.trainable = trainable;
    this.dtype = dtype === undefined ? undefined : checkPrecision(`Cannot make ${this.constructor.name}`, dtype);
  }

  /** Computes the layer. A subclass writes it, {@link Layer.apply} calls it. */
  abstract call(x: Input): Sym;

  /**
   * Computes the layer in its place in the model: it may have parameters, and messages name its path.
   *
   * @throws {KdataError} `shape` when the input does not fit; the message names the layer and the input's shape.
   */
  apply(x: Input): Sym {
    return this.within(x, (taken) => this.call(taken));
  }

  /** Lists the layers inside with the last part of their paths: by default the own properties that hold layers. */
  children(): readonly (readonly [name: string, layer: AnyLayer])[] {
    return listLayers(this);
  }

  /** The name of the parameter that is a matrix to multiply with: what LoRA adapts. None by default. */
  get matrix(): string | undefined {
    return undefined;
  }

  /** Whether a training step is being traced: false in evaluation, prediction and export. */
  protected get training(): boolean {
    return currentTrace?.training ?? false;
  }

  /** Whether the layer's parameters are frozen where it stands: by itself or by a layer around it. */
  protected get frozen(): boolean {
    return currentTrace?.isFrozen(this) ?? !this.trainable;
  }

  /**
   * Computes something with the layer's own parameters in its place in the model, as {@link Layer.apply} does `call`. `body` gets
   * the values as the layer takes them: of its precision.
   */
  protected within<T>(x: T, body: (taken: T) => Sym): Sym {
    return currentTrace === undefined ? body(x) : currentTrace.apply(this, x, body);
  }

  /**
   * Makes a parameter of the layer, float32, or finds it where the layer is applied again. In a mixed precision what this gives is
   * rounded, and training changes what it is rounded from.
   *
   * @throws {TypeError} when the layer is not being applied as part of a model that is traced.
   * @throws {KdataError} `shape` when an earlier application of the layer made it in another shape.
   */
  protected param(name: string, shape: readonly number[], options: ParameterOptions = {}): Sym {
    if (currentTrace === undefined) {
      throw new TypeError(`Cannot make parameter '${name}' of ${typeOf(this)}: no model is being traced`);
    }
    const trace = currentTrace;
    const parameter = trace.parameter(this, name, shape, options);
    const adapter = adapters.get(this)?.get(name);
    if (adapter === undefined) return trace.rounded(this, parameter);
    const adapted = adapter.adapt(parameter, (own, ownShape, initializer) =>
      trace.parameter(this, own, ownShape, { initializer, evenIfFrozen: true }),
    );
    return trace.rounded(this, adapted);
  }

  /**
   * Makes state of the layer: a float32 tensor without a gradient that {@link Layer.updateState} changes. It is saved with
   * the parameters, and evaluation reads it as it is, float32 in every precision.
   */
  protected state(name: string, shape: readonly number[], { initializer = zeros }: StateOptions = {}): Sym {
    if (currentTrace === undefined) {
      throw new TypeError(`Cannot make state '${name}' of ${typeOf(this)}: no model is being traced`);
    }
    return currentTrace.parameter(this, name, shape, { initializer, trainable: false });
  }

  /**
   * Says what a training step makes of the layer's state. Outside of training it does nothing. Where the layer is applied
   * more than once in a step, the last call counts, and `state` gives what the call before it said.
   *
   * @throws {TypeError} when the layer has no such state.
   */
  protected updateState(name: string, next: Sym): void {
    currentTrace?.update(this, name, next);
  }
}

/** Has a layer use something else in place of a parameter from the next trace on; nothing else again without `adapter`. */
export function adaptParameter(layer: AnyLayer, name: string, adapter: ParameterAdapter | undefined): void {
  const own = adapters.get(layer) ?? new Map<string, ParameterAdapter>();
  adapters.set(layer, own);
  if (adapter === undefined) own.delete(name);
  else own.set(name, adapter);
}

/** Lists the layers of a model, itself first with an empty path, by the paths of their parameters. */
export function listPaths(model: AnyLayer): (readonly [path: string, layer: AnyLayer])[] {
  return Array.from(findPaths(model), ([layer, { path }]) => [path, layer] as const);
}

/** What is traced. */
export interface TraceOptions {
  /** A training step, in which layers drop out and change their state. Default false. */
  readonly training?: boolean;
  /** Of layers that say nothing else. Default `float32`. */
  readonly precision?: Precision | undefined;
  /** Whether what the model itself takes and gives is rounded as well, not only what the layers inside do. Default true. */
  readonly roundsBorder?: boolean;
}

/** Lists the layers among the properties of an object, alone or in arrays. */
export function listLayers(holder: object): (readonly [name: string, layer: AnyLayer])[] {
  return Object.entries(holder).flatMap(([key, value]: [string, unknown]) => {
    if (isLayer(value)) return [[key, value] as const];
    if (!Array.isArray(value)) return [];
    return value.flatMap((item: unknown, i) => (isLayer(item) ? [[`${key}/${i}`, item] as const] : []));
  });
}

/**
 * Traces a model: names its layers and applies it to `x`, one value or several by name, whose leading axis is the batch.
 *
 * @throws {KdataError} `shape` when the input does not fit a layer, or two layers have one path; the message names them.
 */
export function traceModel(model: Model, graph: Graph, x: Sym | SymRecord, options: TraceOptions = {}): TracedModel {
  const trace = new Trace(graph, findPaths(model, options.precision), options);
  if (options.roundsBorder === false) trace.openBorder(model);
  const outer = currentTrace;
  currentTrace = trace;
  try {
    // Whether the model takes one value or several is known to who chose its inputs.
    return trace.finish(model, (model as Layer<Sym | SymRecord>).apply(x));
  } finally {
    currentTrace = outer;
  }
}

/** Runs `body` as a part of a step that does not train: its layers neither drop out nor change their state. */
export function withoutTraining<T>(body: () => T): T {
  return currentTrace === undefined ? body() : currentTrace.withoutTraining(body);
}

/** Lists the parameters that the trace under way has met so far, in the order of the computation. */
export function parametersSoFar(): TracedModel["parameters"] {
  return currentTrace?.parameters() ?? [];
}

/** The name of a layer's class. */
export function typeOf(layer: AnyLayer): string {
  return layer.constructor.name || "Layer";
}

function isLayer(value: unknown): value is AnyLayer {
  return value instanceof Layer;
}

/** Where a layer stands in a model. */
interface Place {
  readonly path: string;
  readonly isFrozen: boolean;
  readonly precision: Precision;
}

/** Gives each layer inside a model its path. One that is reached twice keeps the shortest; the model's own is empty. */
function findPaths(model: AnyLayer, precision: Precision = "float32"): Map<AnyLayer, Place> {
  const root = { path: "", isFrozen: !model.trainable, precision: model.dtype ?? precision };
  const places = new Map<AnyLayer, Place>([[model, root]]);
  const taken = new Set<string>();
  for (const [layer, { path, isFrozen, precision: around }] of places) {
    for (const [key, child] of layer.children()) {
      if (places.has(child)) continue;
      const childPath = joinPath(path, child.name ?? key);
      if (taken.has(childPath)) {
        throw new KdataError("shape", `Cannot trace model: two layers have the path '${childPath}'`, {
          hint: "give one of them another name",
        });
      }
      taken.add(childPath);
      // The loop goes on to it: a map is iterated in insertion order.
      places.set(child, {
        path: childPath,
        isFrozen: isFrozen || !child.trainable,
        precision: child.dtype ?? around,
      });
    }
  }
  return places;
}

function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

/** Describes what a layer is applied to, for messages. */
function describeInput(x: unknown): string {
  if (x instanceof Sym) return `its input is ${formatSpec(x)}`;
  const named = Object.entries(x ?? {}).flatMap(([name, value]: [string, unknown]) =>
    value instanceof Sym ? [`${name} ${formatSpec(value)}`] : [],
  );
  return named.length === 0 ? "" : `its inputs are ${named.join(", ")}`;
}

/** A parameter and the layer that made it. */
interface OwnedParameter {
  readonly owner: AnyLayer;
  readonly parameter: Parameter;
  readonly sym: Sym;
}

/** One model on its way into a graph. */
class Trace {
  #training: boolean;
  readonly #graph: Graph;
  readonly #places: ReadonlyMap<AnyLayer, Place>;
  readonly #parameters = new Map<string, OwnedParameter>();
  readonly #updates = new Map<string, Sym>();
  /** In the order of first application; undefined until the layer's first output is there. */
  readonly #outputShapes = new Map<AnyLayer, readonly number[] | undefined>();
  readonly #applying: AnyLayer[] = [];
  /** What layers gave that are kept out of a mixed precision: a layer around hands it on as it is. */
  readonly #whole = new Set<Sym>();
  /** The model, where it takes and gives values as they are. */
  #open: AnyLayer | undefined;

  constructor(graph: Graph, places: ReadonlyMap<AnyLayer, Place>, { training = false }: TraceOptions) {
    this.#graph = graph;
    this.#places = places;
    this.#training = training;
  }

  openBorder(layer: AnyLayer): void {
    this.#open = layer;
  }

  /** Rounds a value of a layer to the layer's precision. */
  rounded(layer: AnyLayer, value: Sym): Sym {
    const format = formatOf(this.#places.get(layer)?.precision ?? "float32");
    return format === undefined || value.dtype !== "float32" ? value : roundTo(value, format);
  }

  get training(): boolean {
    return this.#training;
  }

  withoutTraining<T>(body: () => T): T {
    const outer = this.#training;
    this.#training = false;
    try {
      return body();
    } finally {
      this.#training = outer;
    }
  }

  parameters(): TracedModel["parameters"] {
    return Array.from(this.#parameters.values(), ({ parameter, sym }) => ({ parameter, sym }));
  }

  apply<T>(layer: AnyLayer, x: T, body: (taken: T) => Sym): Sym {
    if (!this.#places.has(layer)) return body(x); // made on the fly: part of the layer that uses it
    if (!this.#outputShapes.has(layer)) this.#outputShapes.set(layer, undefined);
    this.#applying.push(layer);
    try {
      const output = this.#graph.scope(
        this.#scopeOf(layer),
        () => this.#given(layer, body(this.#taken(layer, x))),
        describeInput(x),
      );
      this.#outputShapes.set(layer, this.#outputShapes.get(layer) ?? output.shape);
      return output;
    } finally {
      this.#applying.pop();
    }
  }

  isFrozen(layer: AnyLayer): boolean {
    return this.#places.get(layer)?.isFrozen ?? !layer.trainable;
  }

  parameter(
    owner: AnyLayer,
    name: string,
    shape: readonly number[],
    options: ParameterOptions & { readonly evenIfFrozen?: boolean },
  ): Sym {
    const { initializer = glorotUniform, evenIfFrozen = false } = options;
    const trainable = (options.trainable ?? true) && (evenIfFrozen || !this.isFrozen(owner));
    const path = this.#parameterPath(owner, name);
    const known = this.#parameters.get(path);
    if (known === undefined) {
      const sym = this.#graph.input(`parameter ${path}`, shape, "float32");
      this.#parameters.set(path, { owner, parameter: { path, shape: sym.shape, trainable, initializer }, sym });
      return sym;
    }
    if (known.owner !== owner)
      throw new KdataError("shape", `Cannot trace model: two parameters have the path '${path}'`);
    if (!sameShape(known.sym.shape, shape)) {
      const shapes = `${formatShape(shape)} here, ${formatShape(known.sym.shape)} where the layer was applied before`;
      throw this.#graph.misfit(`parameter '${name}'`, shapes);
    }
    return this.#updates.get(path) ?? known.sym;
  }

  update(owner: AnyLayer, name: string, next: Sym): void {
    if (!this.#training) return;
    const path = this.#parameterPath(owner, name);
    const known = this.#parameters.get(path);
    if (known === undefined || known.parameter.trainable) {
      throw new TypeError(`Cannot update '${path}': it is no state of ${typeOf(owner)}`);
    }
    this.#updates.set(path, next);
  }

  finish(model: AnyLayer, output: Sym): TracedModel {
    const owned = [...this.#parameters.values()];
    const layers = Array.from(this.#outputShapes, ([layer, outputShape]): TracedLayer => {
      const own = owned.filter(({ owner }) => owner === layer);
      const parameterCount = own.reduce((sum, { parameter }) => sum + elementCount(parameter.shape), 0);
      return { path: this.#scopeOf(layer), type: typeOf(layer), outputShape: outputShape ?? [], parameterCount };
    });
    const [root, ...inner] = layers;
    const isEmptyShell =
      inner.length > 0 && root?.parameterCount === 0 && this.#outputShapes.keys().next().value === model;
    return {
      output,
      parameters: this.parameters(),
      updates: this.#updates,
      layers: isEmptyShell ? inner : layers,
    };
  }

  /** What a layer takes, alone or by name, rounded to its precision. */
  #taken<T>(layer: AnyLayer, x: T): T {
    if (layer === this.#open) return x;
    const round = (value: unknown): unknown => (value instanceof Sym ? this.rounded(layer, value) : value);
    if (x instanceof Sym) return round(x) as T;
    const isRecord = typeof x === "object" && x !== null && Object.getPrototypeOf(x) === Object.prototype;
    return isRecord ? (Object.fromEntries(Object.entries(x).map(([name, value]) => [name, round(value)])) as T) : x;
  }

  /** What a layer gives, rounded to its precision, unless a layer inside gave it that is kept out of that. */
  #given(layer: AnyLayer, output: Sym): Sym {
    if (layer === this.#open || this.#whole.has(output)) return output;
    const rounded = this.rounded(layer, output);
    if (formatOf(this.#places.get(layer)?.precision ?? "float32") === undefined) this.#whole.add(output);
    return rounded;
  }

  #parameterPath(owner: AnyLayer, name: string): string {
    const path = this.#places.get(owner)?.path;
    const what = `Cannot make parameter '${name}' of ${typeOf(owner)}`;
    if (path === undefined) {
      throw new TypeError(`${what}: the model does not hold it; keep layers in properties of the layer that uses them`);
    }
    if (this.#applying.at(-1) !== owner) throw new TypeError(`${what}: use the layer by apply(x), not by call(x)`);
    return joinPath(path, name);
  }

  /** The path, and for the model itself a name to show. */
  #scopeOf(layer: AnyLayer): string {
    return this.#places.get(layer)?.path || (layer.name ?? typeOf(layer).toLowerCase());
  }
}
