"""Files as Flower's records: arrays of bytes, which Flower sends in chunks and does not look into."""

import numpy as np
from flwr.app import ArrayRecord, RecordDict

_FILES = "files"


def pack(files: list[bytes]) -> RecordDict:
    """The files in their order; an empty one stands for none."""
    return RecordDict({_FILES: ArrayRecord([np.frombuffer(file, dtype=np.uint8) for file in files])})


def unpack(content: RecordDict, count: int | None = None) -> list[bytes]:
    """What `pack` made. Raises ValueError for anything else, and for another number than `count`."""
    records = content.array_records
    if list(records) != [_FILES]:
        raise ValueError(f"the message has the records {sorted(records)}, not {[_FILES]}")
    files = records[_FILES].to_numpy_ndarrays()
    if count is not None and len(files) != count:
        raise ValueError(f"the message has {len(files)} files, not {count}")
    for file in files:
        if file.dtype != np.uint8 or file.ndim != 1:
            raise ValueError(f"a file came as {file.dtype} of the shape {file.shape}")
    return [file.tobytes() for file in files]
