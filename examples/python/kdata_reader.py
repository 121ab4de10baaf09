"""Batches of kdata in Python, with numpy alone: the stream that `kdata cat --to npy-stream` writes, as docs/integrations.md describes it.

    for batch in Kdata("data/*.tfrecord", batch=64, shuffle=True, seed=42, epochs=3):
        step(batch["image"], batch["label"])  # numpy arrays, the batch as first axis

Copy this file into your project.
"""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

STREAM = "kdata.npy-stream/1"
MAX_HEADER_BYTES = 1 << 28  # keys and names of one batch; more is no stream of kdata


class KdataError(RuntimeError):
    """What kdata found wrong: bad data, a missing file, a stream that was cut. `code` is kdata's own, or `truncated`, or `process`."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\nhint: {hint}")
        self.code = code


class Batch(dict):
    """Features by name. Tensors are numpy arrays `[size, ...]` of their own; everything else is a list of a value a sample."""

    size: int
    """Samples, the padded ones included."""
    padded: int
    """Samples at the end that only fill the batch."""
    epoch: int
    step: int
    sample_keys: list[str]


class Kdata:
    """A data set, read by a `kdata` process of its own for each iteration: all `epochs` of it.

    Options are the flags of `kdata cat`, with underscores: `batch`, `epochs`, `start_epoch`, `shuffle`, `seed`, `select`, `transforms`,
    `workers`, `rank`, `world_size`, `remainder`, `on_error`, `from_`. The process ends with the iteration, also when that is left early.
    """

    def __init__(self, *spec: str, command: Sequence[str] = ("npx", "kdata"), **options: Any) -> None:
        self.command = [*command, "cat", *spec, "--to", "npy-stream", "--progress", "none", *flags(options)]

    def steps(self) -> int:
        """Counts the batches of one epoch, for loops that must know it before they begin."""
        run = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert run.stdout is not None
        try:
            return int(begin_of(run.stdout)["steps"])
        finally:
            run.stdout.close()
            run.wait()

    def __iter__(self) -> Iterator[Batch]:
        # Not a pipe: nobody reads it before the process has ended.
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
            assert process.stdout is not None
            try:
                yield from read_stream(process.stdout)
                if process.wait() != 0:
                    raise failure(process, errors)
            except EOFError as error:
                process.wait()
                raise failure(process, errors) from error
            finally:
                process.stdout.close()  # a process that is still writing ends by itself
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def read_stream(stream: BinaryIO) -> Iterator[Batch]:
    """Reads the batches of a stream, to its end frame.

    Raises `KdataError` with kdata's message when the stream ends with an error, or when it is cut or no such stream; `EOFError` when it is empty.
    """
    begin_of(stream)
    batches = samples = 0
    while True:
        header = read_header(stream)
        kind = header.get("frame")
        if kind == "batch":
            batch = read_batch(stream, header)
            batches += 1
            samples += batch.size - batch.padded
            yield batch
        elif kind == "error":
            raise reported(header)
        elif kind == "end":
            if (header["batches"], header["samples"]) != (batches, samples):
                raise KdataError("truncated", f"cannot read stream: {samples} samples came of {header['samples']}")
            return
        else:
            raise KdataError("format", f"cannot read stream: there is no frame {kind!r}")


def begin_of(stream: BinaryIO) -> Mapping[str, Any]:
    begin = read_header(stream, first=True)
    if begin.get("frame") == "error":
        raise reported(begin)
    if begin.get("stream") != STREAM:
        raise KdataError("format", f"cannot read stream: {begin.get('stream')} is not {STREAM}")
    return begin


def read_header(stream: BinaryIO, first: bool = False) -> Mapping[str, Any]:
    length = stream.read(4)
    if first and not length:
        raise EOFError
    if len(length) < 4:
        raise cut()
    (size,) = struct.unpack("<I", length)
    if size > MAX_HEADER_BYTES:
        raise KdataError("format", "cannot read stream: this is no stream of kdata")
    line = stream.read(size)
    if len(line) < size:
        raise cut()
    header: Mapping[str, Any] = json.loads(line)
    return header


def read_batch(stream: BinaryIO, header: Mapping[str, Any]) -> Batch:
    batch = Batch()
    for column in header["columns"]:
        arrays = [read_array(stream, size) for size in column["arrays"]]
        batch[column["name"]] = column_of(column, arrays)
    batch.size, batch.padded = header["size"], header["padded"]
    batch.epoch, batch.step, batch.sample_keys = header["epoch"], header["step"], header["keys"]
    return batch


def read_array(stream: BinaryIO, size: int) -> np.ndarray:
    """Reads one NPY array of `size` bytes, its header included, straight into its memory."""
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise KdataError("format", f"cannot read stream: an array of version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except ValueError as error:
        raise cut() from error
    if dtype.hasobject:
        raise KdataError("unsupported", "cannot read stream: an array of Python objects")
    array = np.empty(shape, dtype)
    memory = memoryview(array.reshape(-1).view(np.uint8))
    if len(memory) > size:
        raise KdataError("format", "cannot read stream: an array is larger than its frame says")
    while len(memory) > 0:
        count = stream.readinto(memory)  # type: ignore[attr-defined]
        if not count:
            raise cut()
        memory = memory[count:]
    return array


def column_of(column: Mapping[str, Any], arrays: list[np.ndarray]) -> Any:
    kind = column["kind"]
    if kind == "tensor":
        # numpy has no bfloat16: its bits are the upper half of a float32.
        return (arrays[0].astype(np.uint32) << 16).view(np.float32) if column.get("dtype") == "bfloat16" else arrays[0]
    *starts, offsets, data = arrays
    items = [data[start:end].tobytes() for start, end in zip(offsets, offsets[1:])]
    if kind == "list":
        return [items[start:end] for start, end in zip(starts[0], starts[0][1:])]
    if kind == "string":
        return [item.decode() for item in items]
    return [json.loads(item) for item in items] if kind == "json" else items


def flags(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if value is None or value is False:
            continue
        yield "--" + name.rstrip("_").replace("_", "-")
        if value is not True:
            yield ",".join(value) if isinstance(value, (list, tuple)) else str(value)


def reported(header: Mapping[str, Any]) -> KdataError:
    return KdataError(header.get("code") or "error", header["message"], header.get("hint"))


def cut() -> KdataError:
    return KdataError("truncated", "cannot read stream: it was cut before its end")


def failure(process: subprocess.Popen[bytes], errors: BinaryIO) -> KdataError:
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip()
    return KdataError("process", f"kdata ended with exit code {process.returncode}: {said or 'it said nothing'}")
