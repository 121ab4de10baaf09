// The layer: a part of a model that owns parameters, and the tracing of a model into a graph.

import { KdataError } from "../../core/errors.ts";
import { elementCount } from "../../core/tensor.ts";
import type { Graph, Sym } from "../graph.ts";
import { glorotUniform, type Initializer } from "../initializers.ts";
import { formatShape, formatSpec, sameShape } from "../primitives.ts";

/** A float32 tensor that a layer owns and training changes. */
export interface Parameter {
  /** The layer's path and the parameter's name: `encoder/dense_1/kernel`. */
  readonly path: string;
  readonly shape: readonly number[];
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

/** One layer of a traced model. */
export interface TracedLayer {
  readonly path: string;
  /** The name of its class. */
  readonly type: string;
  /** Of its first application. */
  readonly outputShape: readonly number[];
  /** Elements of its own parameters, those of the layers inside not among them. */
  readonly parameterCount: number;
}

/** What the trace of a model found, in the order of the computation. */
export interface TracedModel {
  readonly output: Sym;
  readonly parameters: readonly { readonly parameter: Parameter; readonly sym: Sym }[];
  readonly layers: readonly TracedLayer[];
}

/** The trace that is under way. Tracing is synchronous, so there is one at most, and layers find it here. */
let currentTrace: Trace | undefined;

/**
 * A part of a model: a function over values of the graph, with parameters.
 *
 * A subclass keeps the layers inside it in ordinary properties, alone or in arrays; their names make the paths of the
 * parameters. It may be applied more than once and has the same parameters each time.
 *
 * @example
 * class Residual extends Layer {
 *   readonly project = layers.dense(16);
 *   call(x: Sym): Sym {
 *     return ops.add(ops.mul(x, this.param("scale", [16])), this.project.apply(x));
 *   }
 * }
 */
export abstract class Layer {
  /** Stands in the path instead of the property's name, where it is set. */
  readonly name: string | undefined;

  constructor({ name }: { readonly name?: string | undefined } = {}) {
    this.name = name;
  }

  /** Computes the layer. A subclass writes it, {@link Layer.apply} calls it. */
  abstract call(x: Sym): Sym;

  /**
   * Computes the layer in its place in the model: it may have parameters, and messages name its path.
   *
   * @throws {KdataError} `shape` when the input does not fit; the message names the layer and the input's shape.
   */
  apply(x: Sym): Sym {
    return currentTrace === undefined ? this.call(x) : currentTrace.apply(this, x);
  }

  /** Lists the layers inside with the last part of their paths: by default the own properties that hold layers. */
  children(): readonly (readonly [name: string, layer: Layer])[] {
    return Object.entries(this).flatMap(([key, value]: [string, unknown]) => {
      if (value instanceof Layer) return [[key, value] as const];
      if (!Array.isArray(value)) return [];
      return value.flatMap((item: unknown, i) => (item instanceof Layer ? [[`${key}/${i}`, item] as const] : []));
    });
  }

  /**
   * Makes a parameter of the layer, float32, or finds it where the layer is applied again.
   *
   * @throws {TypeError} when the layer is not being applied as part of a model that is traced.
   * @throws {KdataError} `shape` when an earlier application of the layer made it in another shape.
   */
  protected param(name: string, shape: readonly number[], options: ParameterOptions = {}): Sym {
    if (currentTrace === undefined) {
      throw new TypeError(`Cannot make parameter '${name}' of ${typeOf(this)}: no model is being traced`);
    }
    return currentTrace.parameter(this, name, shape, options);
  }
}

/**
 * Traces a model: names its layers and applies it to `x`, whose leading axis is the batch.
 *
 * @throws {KdataError} `shape` when the input does not fit a layer, or two layers have one path; the message names them.
 */
export function traceModel(model: Layer, graph: Graph, x: Sym): TracedModel {
  const trace = new Trace(graph, findPaths(model));
  const outer = currentTrace;
  currentTrace = trace;
  try {
    return trace.finish(model, model.apply(x));
  } finally {
    currentTrace = outer;
  }
}

/** The name of a layer's class. */
export function typeOf(layer: Layer): string {
  return layer.constructor.name || "Layer";
}

/** Gives each layer inside a model its path. One that is reached twice keeps the shortest; the model's own is empty. */
function findPaths(model: Layer): Map<Layer, string> {
  const paths = new Map([[model, ""]]);
  const taken = new Set<string>();
  for (const [layer, path] of paths) {
    for (const [key, child] of layer.children()) {
      if (paths.has(child)) continue;
      const childPath = joinPath(path, child.name ?? key);
      if (taken.has(childPath)) {
        throw new KdataError("shape", `Cannot trace model: two layers have the path '${childPath}'`, {
          hint: "give one of them another name",
        });
      }
      taken.add(childPath);
      paths.set(child, childPath); // the loop goes on to it: a map is iterated in insertion order
    }
  }
  return paths;
}

function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

/** A parameter and the layer that made it. */
interface OwnedParameter {
  readonly owner: Layer;
  readonly parameter: Parameter;
  readonly sym: Sym;
}

/** One model on its way into a graph. */
class Trace {
  readonly #graph: Graph;
  readonly #paths: ReadonlyMap<Layer, string>;
  readonly #parameters = new Map<string, OwnedParameter>();
  /** In the order of first application; undefined until the layer's first output is there. */
  readonly #outputShapes = new Map<Layer, readonly number[] | undefined>();
  readonly #applying: Layer[] = [];

  constructor(graph: Graph, paths: ReadonlyMap<Layer, string>) {
    this.#graph = graph;
    this.#paths = paths;
  }

  apply(layer: Layer, x: Sym): Sym {
    if (!this.#paths.has(layer)) return layer.call(x); // made on the fly: part of the layer that uses it
    if (!this.#outputShapes.has(layer)) this.#outputShapes.set(layer, undefined);
    this.#applying.push(layer);
    try {
      const output = this.#graph.scope(this.#scopeOf(layer), () => layer.call(x), `its input is ${formatSpec(x)}`);
      this.#outputShapes.set(layer, this.#outputShapes.get(layer) ?? output.shape);
      return output;
    } finally {
      this.#applying.pop();
    }
  }

  parameter(owner: Layer, name: string, shape: readonly number[], options: ParameterOptions): Sym {
    const { initializer = glorotUniform, trainable = true } = options;
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
    return known.sym;
  }

  finish(model: Layer, output: Sym): TracedModel {
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
      parameters: owned.map(({ parameter, sym }) => ({ parameter, sym })),
      layers: isEmptyShell ? inner : layers,
    };
  }

  #parameterPath(owner: Layer, name: string): string {
    const path = this.#paths.get(owner);
    const what = `Cannot make parameter '${name}' of ${typeOf(owner)}`;
    if (path === undefined) {
      throw new TypeError(`${what}: the model does not hold it; keep layers in properties of the layer that uses them`);
    }
    if (this.#applying.at(-1) !== owner) throw new TypeError(`${what}: use the layer by apply(x), not by call(x)`);
    return joinPath(path, name);
  }

  /** The path, and for the model itself a name to show. */
  #scopeOf(layer: Layer): string {
    return this.#paths.get(layer) || (layer.name ?? typeOf(layer).toLowerCase());
  }
}
