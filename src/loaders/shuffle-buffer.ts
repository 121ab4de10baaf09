// What comes in order, given in another: a buffer from which the next one is drawn.

import type { RandomStream } from "../core/random.ts";

/**
 * Keeps `size` items; each further one takes the place of one that is drawn. At the end the rest is drawn, too. An item never comes
 * more than `size` - 1 places earlier than it arrived; a size of 1 keeps the order.
 */
export async function* drawFromBuffer<T>(
  items: AsyncIterable<T>,
  size: number,
  random: RandomStream,
): AsyncGenerator<T, void> {
  const buffer: T[] = [];
  for await (const item of items) {
    if (buffer.length < size) {
      buffer.push(item);
      continue;
    }
    const drawn = random.below(size);
    const next = buffer[drawn] as T;
    buffer[drawn] = item;
    yield next;
  }
  while (buffer.length > 0) {
    const drawn = random.below(buffer.length);
    const next = buffer[drawn] as T;
    buffer[drawn] = buffer[buffer.length - 1] as T;
    buffer.pop();
    yield next;
  }
}
