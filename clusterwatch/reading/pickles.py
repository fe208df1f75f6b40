"""Bytes of a pickle to inert values: nothing that a pickle names is ever imported or called."""

from __future__ import annotations

import io
import pickle  # every name it could look up goes through _Inert below
from dataclasses import dataclass

from clusterwatch.errors import SourceError


class UnsafePickleError(SourceError):
    """A pickle names something that does not belong into the file it was read from."""


class Inert:
    """What stands in for an object: its class's name, what it was made from and the state it was given."""

    name = ""

    def __new__(cls, *arguments: object, **_: object) -> Inert:
        """Hold *arguments*, whatever they are."""
        made = super().__new__(cls)
        made.arguments = arguments
        made.state = None
        return made

    arguments: tuple[object, ...]
    state: object

    def __setstate__(self, state: object) -> None:
        """Hold *state* instead of acting on it."""
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Take an entry, as a stand-in for a dictionary is given, and drop it."""

    def attribute(self, name: str) -> object:
        """Return an attribute that the object's state would have given it; None without it."""
        return self.state.get(name) if isinstance(self.state, dict) else None


@dataclass(frozen=True, slots=True)
class StoredPiece:
    """Where one piece of a checkpoint lies: *offset* and *length* in bytes of the file at *relative_path*."""

    relative_path: str
    offset: int
    length: int


_METADATA_CLASSES = (
    "BytesStorageMetadata",
    "ChunkStorageMetadata",
    "Metadata",
    "MetadataIndex",
    "StorageMeta",
    "TensorProperties",
    "TensorStorageMetadata",
    "_MEM_FORMAT_ENCODING",
)
_DTYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"),
    *("quint8", "qint8", "qint32", "quint4x2", "quint2x4"),
)
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")

# What torch.distributed.checkpoint writes: https://github.com/pytorch/pytorch, torch/distributed/checkpoint
# (metadata.py, filesystem.py), version 2.13. Python 3.13 keeps paths in pathlib._local.
DCP_NAMES = frozenset(
    {("torch.distributed.checkpoint.metadata", name) for name in _METADATA_CLASSES}
    | {("torch.distributed.checkpoint.filesystem", name) for name in ("_StorageInfo", "_StoragePrefix")}
    | {("torch", name) for name in ("Size", "device", *_DTYPES)}
    | {("torch.serialization", "_get_layout"), ("collections", "OrderedDict")}
    | {(module, name) for module in ("pathlib", "pathlib._local") for name in _PATHS}
)
"""Every (module, name) that the ``.metadata`` of a distributed checkpoint may hold."""


# The Python one: the C one allocates as much memory as a single opcode of a crafted pickle asks for.
class _InertUnpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type[Inert]:
        if (module, name) not in DCP_NAMES:
            raise UnsafePickleError(f"it names {module}.{name}, which is no part of a checkpoint's metadata")
        return _STAND_INS[module, name]


_STAND_INS = {(module, name): type(name, (Inert,), {"name": f"{module}.{name}"}) for module, name in DCP_NAMES}


def inert_value(raw: bytes) -> object:
    """Return the value of the pickle *raw* with an `Inert` in the place of every object.

    Raises:
        UnsafePickleError: It names something outside `DCP_NAMES`.
        SourceError: It is cut short or no pickle at all.
    """
    try:
        return _InertUnpickler(io.BytesIO(raw)).load()
    except SourceError:
        raise
    # A damaged or crafted pickle makes the unpickler stumble in any way; all mean the same.
    except Exception as error:
        raise SourceError(f"not a readable pickle: {type(error).__name__}: {error}") from error


def stored_pieces(raw: bytes) -> tuple[StoredPiece, ...]:
    """Return where the pieces of a distributed checkpoint lie, from the bytes of its ``.metadata``.

    Raises:
        SourceError: It is no such metadata. UnsafePickleError where it holds what it must not.
    """
    metadata = inert_value(raw)
    storage = metadata.attribute("storage_data") if isinstance(metadata, Inert) else None
    if not isinstance(storage, dict):
        raise SourceError("it does not say where the checkpoint's pieces lie")
    return tuple(_piece(info) for info in storage.values())


def _piece(info: object) -> StoredPiece:
    values = [info.attribute(name) for name in ("relative_path", "offset", "length")] if isinstance(info, Inert) else []
    match values:
        case [str(path), int(offset), int(length)]:
            return StoredPiece(path, offset, length)
    raise SourceError("it holds a piece without path, offset and length")
