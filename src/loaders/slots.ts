// Memory for batches that is kept from batch to batch: the first write to fresh memory runs at about 0.3 GB/s, because the system
// maps and clears each page, a write to memory in use at about 10 GB/s.

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
