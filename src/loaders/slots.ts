// Memory for batches that is kept from batch to batch: first touch of fresh memory is 30 times as slow as reuse (docs/design.md).

/**
 * Makes one slot: a function that hands out at least so many bytes, always the same memory as long as it suffices.
 *
 * When a batch needs more, the memory is replaced by a larger piece; views of the old piece stay valid.
 */
export function createSlot<M extends ArrayBufferLike>(allocate: (byteLength: number) => M): (byteLength: number) => M {
  let memory: M | undefined;
  return (byteLength) => {
    if (memory === undefined || memory.byteLength < byteLength) memory = allocate(byteLength);
    return memory;
  };
}
