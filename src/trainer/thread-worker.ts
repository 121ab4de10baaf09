// The entry of the thread in which a backend computes: answers one call after the other.

import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { packError } from "../core/packed-error.ts";
import type { Backend, HostTensor, Program, Session } from "./backend.ts";
import { deviceWith } from "./knobs.ts";
import { openBackend } from "./registry.ts";
import type { ThreadAnswer, ThreadCall, ThreadCalls, ThreadStart } from "./thread-protocol.ts";

function serve(port: MessagePort, start: ThreadStart): void {
  const host = new BackendHost(start.backend);
  let last: Promise<void> = Promise.resolve();
  port.on("message", (message: ThreadCall) => {
    last = last.then(async () => {
      port.postMessage(await answer(host, message));
    });
  });
}

async function answer(host: BackendHost, message: ThreadCall): Promise<ThreadAnswer> {
  try {
    return { call: message.call, ok: true, result: await host.answer(message) };
  } catch (error) {
    return { call: message.call, ok: false, error: packError(error) };
  }
}

/** A backend with its sessions and programs by number. */
class BackendHost {
  readonly #name: string;
  readonly #sessions = new Map<number, Session>();
  readonly #programs: Program[] = [];
  #backend: Promise<Backend> | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  async answer(message: ThreadCall): Promise<ThreadCalls[keyof ThreadCalls]["result"]> {
    switch (message.name) {
      case "describe": {
        const backend = await this.#opened();
        const { name, engine, knobs } = backend;
        return { name, engine, device: deviceWith(backend, message.args[0]), knobs };
      }
      case "open": {
        const [id, state, knobs] = message.args;
        const session = await (await this.#opened()).open(state, knobs);
        this.#sessions.set(id, session);
        return session.explain();
      }
      case "compile": {
        const [id, plan] = message.args;
        const session = this.#session(id);
        const program = await session.compile(plan);
        const number = this.#programs.push(program) - 1;
        return { program: number, explanation: program.explain(), session: session.explain() };
      }
      case "run": {
        const [number, feeds] = message.args;
        const program = this.#programs[number];
        if (program === undefined) throw new RangeError(`Cannot run program ${number}: it was never compiled`);
        return owned(await program.run(feeds));
      }
      case "read":
        return owned(await this.#session(message.args[0]).read(message.args[1]));
      case "write":
        await this.#session(message.args[0]).write(message.args[1]);
        return undefined;
      case "close":
        await this.#session(message.args[0]).close();
        return undefined;
    }
  }

  #opened(): Promise<Backend> {
    this.#backend ??= openBackend(this.#name);
    return this.#backend;
  }

  #session(id: number): Session {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new RangeError(`Cannot use session ${id}: it was never opened`);
    return session;
  }
}

/** Tensors whose arrays are whole buffers: of a part of a larger one, the whole would be copied across. */
function owned(tensors: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
  return new Map(
    Array.from(tensors, ([name, tensor]) => {
      const isWhole = tensor.data.byteLength === tensor.data.buffer.byteLength;
      return [name, isWhole ? tensor : { ...tensor, data: tensor.data.slice() }];
    }),
  );
}

// At the end, when the class above is there.
if (!parentPort) throw new TypeError("Cannot start: this file is the entry of a worker thread");
serve(parentPort, workerData as ThreadStart);
