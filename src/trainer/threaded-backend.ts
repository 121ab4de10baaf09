// A backend that computes in a thread of its own, so that loading, progress and signals never wait for a step.

import { Worker } from "node:worker_threads";
import { KdataError } from "../core/errors.ts";
import { unpackError } from "../core/packed-error.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "./backend.ts";
import type { Plan } from "./plan.ts";
import type { BackendDescription, ThreadAnswer, ThreadCalls, ThreadStart } from "./thread-protocol.ts";

/**
 * Loads a backend in a thread that is started for it. It ends with the last session; a session opened later starts another one.
 *
 * Feeds in shared memory cross without a copy, others are copied once.
 *
 * @param name - of the backend
 * @param knobs - are checked, and `device` says where it computes with them
 * @throws {KdataError} what `openBackend` throws; `backend` when the thread does not start.
 */
export async function openInThread(name: string, knobs: Knobs = {}): Promise<Backend> {
  const host = new ThreadHost(name);
  const { engine, device, knobs: specs } = await host.describe(knobs);
  return {
    name,
    engine,
    device,
    ...(specs && { knobs: specs }),
    async open(state, knobs) {
      return ThreadSession.open(host, state, knobs);
    },
    close: () => host.endIfIdle(),
  };
}

/** Who waits for an answer. */
interface Waiting {
  /** Takes the result of the call that was made: the thread is ours, and answers what it was asked. */
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** The thread, its calls that are not answered, and the sessions it holds. */
class ThreadHost {
  readonly #name: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #sessions = new Set<number>();
  #worker: Worker | undefined;
  #nextCall = 0;
  #nextSession = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** Calls the thread, and starts it if there is none. Only while a call waits does the thread keep the process alive. */
  call<Name extends keyof ThreadCalls>(
    name: Name,
    args: ThreadCalls[Name]["args"],
  ): Promise<ThreadCalls[Name]["result"]> {
    return new Promise((resolve, reject) => {
      const worker = (this.#worker ??= this.#start());
      const call = this.#nextCall++;
      worker.postMessage({ call, name, args });
      this.#waiting.set(call, { resolve, reject });
      worker.ref();
    });
  }

  /** Asks what the backend is. A thread in which it does not load, or that was given wrong knobs, ends. */
  async describe(knobs: Knobs): Promise<BackendDescription> {
    try {
      return await this.call("describe", [knobs]);
    } catch (error) {
      await this.endIfIdle();
      throw error;
    }
  }

  /** Numbers a new session. */
  addSession(): number {
    const session = this.#nextSession++;
    this.#sessions.add(session);
    return session;
  }

  /** Forgets a session; the thread ends with the last one. */
  async removeSession(session: number): Promise<void> {
    this.#sessions.delete(session);
    await this.endIfIdle();
  }

  /** Ends the thread, unless it holds a session. */
  async endIfIdle(): Promise<void> {
    if (this.#sessions.size > 0) return;
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #start(): Worker {
    const start: ThreadStart = { backend: this.#name };
    const worker = new Worker(entry(), { workerData: start });
    worker.on("message", (answer: ThreadAnswer) => {
      this.#settle(worker, answer);
    });
    worker.on("error", (cause) => {
      this.#fail(worker, cause);
    });
    worker.on("exit", () => {
      this.#fail(worker, undefined);
    });
    return worker;
  }

  #settle(worker: Worker, answer: ThreadAnswer): void {
    const waiting = this.#waiting.get(answer.call);
    this.#waiting.delete(answer.call);
    if (this.#waiting.size === 0) worker.unref();
    if (answer.ok) waiting?.resolve(answer.result as never);
    else waiting?.reject(unpackError(answer.error));
  }

  #fail(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return; // it was ended on purpose, or has failed before
    this.#worker = undefined;
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    const error = new KdataError("backend", `Cannot compute on ${this.#name}: its thread ended${reason}`, { cause });
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

class ThreadSession implements Session {
  readonly #host: ThreadHost;
  readonly #id: number;
  #explanation: Explanation;
  #isClosed = false;

  static async open(
    host: ThreadHost,
    state: ReadonlyMap<string, HostTensor>,
    knobs: Knobs | undefined,
  ): Promise<ThreadSession> {
    const id = host.addSession();
    try {
      return new ThreadSession(host, id, await host.call("open", [id, clonable(state), knobs]));
    } catch (error) {
      await host.removeSession(id);
      throw error;
    }
  }

  private constructor(host: ThreadHost, id: number, explanation: Explanation) {
    this.#host = host;
    this.#id = id;
    this.#explanation = explanation;
  }

  async compile(plan: Plan): Promise<Program> {
    this.#checkOpen(`compile ${plan.name}`);
    const { program, explanation, session } = await this.#host.call("compile", [this.#id, plan]);
    this.#explanation = session;
    return {
      run: (feeds) => {
        if (this.#isClosed) return Promise.reject(closed(`run ${plan.name}`));
        return this.#host.call("run", [program, clonable(feeds)]).then((outputs) => new Map(outputs));
      },
      explain: () => explanation,
    };
  }

  async read(names?: readonly string[]): Promise<Map<string, HostTensor>> {
    this.#checkOpen("read state");
    return new Map(await this.#host.call("read", [this.#id, names]));
  }

  async write(state: ReadonlyMap<string, HostTensor>): Promise<void> {
    this.#checkOpen("write state");
    await this.#host.call("write", [this.#id, clonable(state)]);
  }

  explain(): Explanation {
    return { ...this.#explanation, thread: "its own" };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#host.call("close", [this.#id]);
    await this.#host.removeSession(this.#id);
  }

  #checkOpen(action: string): void {
    if (this.#isClosed) throw closed(action);
  }
}

function closed(action: string): TypeError {
  return new TypeError(`Cannot ${action}: the session is closed`);
}

/** The compiled entry: beside this file in a build, in `dist/` when this file runs from `src/`, as under a test runner. */
function entry(): URL {
  const beside = new URL("./thread-worker.js", import.meta.url).href;
  return new URL(import.meta.url.endsWith(".ts") ? beside.replace(/\/src\/(trainer\/[^/]+)$/, "/dist/$1") : beside);
}

/** Tensors that cross alone: a view of a part of a buffer would take the whole buffer along. */
function clonable(tensors: ReadonlyMap<string, HostTensor>): ReadonlyMap<string, HostTensor> {
  return new Map(
    Array.from(tensors, ([name, { dtype, shape, data }]): [string, HostTensor] => {
      const crossesAlone = data.buffer instanceof SharedArrayBuffer || data.byteLength === data.buffer.byteLength;
      return [name, { dtype, shape: [...shape], data: crossesAlone ? data : data.slice() }];
    }),
  );
}
