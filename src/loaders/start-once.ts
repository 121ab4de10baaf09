// An iterable that gives its only iterator again, as a generator does, would give an empty epoch: it is refused instead.

import type { KdataError } from "../core/errors.ts";

/**
 * Iterates, unless the iterator is one that was handed out before. An iteration that is left early ends the iterator.
 *
 * @param source - what is iterated
 * @param started - the iterators that were handed out
 * @param refused - makes the error for one of these
 * @throws {KdataError} `refused()` for an iterator that is among `started`.
 */
export async function* startOnce<T>(
  source: AsyncIterable<T> | Iterable<T>,
  started: WeakSet<object>,
  refused: () => KdataError,
): AsyncGenerator<T, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  if (started.has(iterator)) throw refused();
  started.add(iterator);
  let isDone = false;
  try {
    for (;;) {
      const next = await iterator.next();
      isDone = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    if (!isDone) await iterator.return?.();
  }
}
