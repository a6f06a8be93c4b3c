"""Files as Flower's records: arrays of bytes, which Flower sends in chunks and does not look into.

Flower sends and keeps a chunk once, however many messages hold it. A safetensors file travels as two arrays, its
header and its tensors, so that the tensors are the same chunks in all orders that have the same weights: of one round
to all clients, and to one client to evaluate and to train.
"""

from flwr.app import Array, ArrayRecord, RecordDict

_FILES = "files"
_KIND = "strata.part"


def split(file: bytes) -> tuple[bytes, bytes]:
    """Header and tensors of a safetensors file; of any other the cut is anywhere."""
    end = 8 + int.from_bytes(file[:8], "little")
    return file[:end], file[end:]


def pack(files: list[bytes]) -> RecordDict:
    """The files in their order; an empty one stands for none."""
    parts = [part for file in files for part in split(file)]
    arrays = {str(i): Array("uint8", (len(part),), _KIND, part) for i, part in enumerate(parts)}
    return RecordDict({_FILES: ArrayRecord(arrays)})


def unpack(content: RecordDict, count: int | None = None) -> list[bytes]:
    """What `pack` made. Raises ValueError for anything else, and for another number than `count`."""
    records = content.array_records
    if list(records) != [_FILES]:
        raise ValueError(f"the message has the records {sorted(records)}, not {[_FILES]}")
    arrays = records[_FILES]
    if list(arrays) != [str(i) for i in range(len(arrays))] or len(arrays) % 2:
        raise ValueError(f"the message has the parts {list(arrays)[:8]}, not two a file")
    if count is not None and len(arrays) != 2 * count:
        raise ValueError(f"the message has {len(arrays) // 2} files, not {count}")
    for array in arrays.values():
        if array.stype != _KIND:
            raise ValueError(f"a file came as {array.stype}, not {_KIND}")
    parts = [array.data for array in arrays.values()]
    return [head + tensors for head, tensors in zip(parts[::2], parts[1::2])]
