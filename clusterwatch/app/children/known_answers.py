"""Matrix products on each GPU to digests of their results, one JSON line each. Needs torch, and nothing of ours.

The matrices are made of whole numbers small enough that every sum is exact in its format, in whatever order a GPU adds:
so there is one right answer, known before. "free" ones use all bits of a format: their results need only be the same
each time. Run as `known_answers.py '{"device": "gpu", "size": 2048, "rounds": 3}'`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from typing import Any

# Name, torch's name of the format, and the largest magnitude of an element; None for one that uses all its bits.
PROBLEMS = (
    ("float64", "float64", 2**20),
    ("float32", "float32", 2**6),
    ("tf32", "float32", 2**6),
    ("float16", "float16", 1),
    ("bfloat16", "bfloat16", 1),
    ("float32-free", "float32", None),
    ("bfloat16-free", "bfloat16", None),
)

_LOW_31_BITS = 0x7FFFFFFF


def main() -> None:
    """Answer the request on the command line, a line for each product, so that what was done is known if we hang."""
    request = json.loads(sys.argv[1])
    try:
        import torch
    except Exception as error:  # whatever a broken installation raises: it cannot compute here
        say(condition=f"torch cannot be used here: {error}")
        return
    devices = devices_of(torch, request["device"])
    if not devices:
        say(condition="torch sees no GPU here")
    matmul = torch.backends.cuda.matmul
    matmul.allow_fp16_reduced_precision_reduction = False
    matmul.allow_bf16_reduced_precision_reduction = False
    working = list(devices)
    for name, format_name, magnitude in PROBLEMS:
        # Made once for all devices: on the host it takes longer than the product does on a GPU.
        operands = [operand(torch, request["size"], seed, format_name, magnitude) for seed in (1, 2)]
        matmul.allow_tf32 = name == "tf32"
        for device in list(working):
            say(device=str(device), begins=name)
            try:
                compute(torch, device, name, operands, magnitude is not None, request["rounds"])
            except Exception as error:  # of CUDA, cuBLAS or torch: the device could not do it, which is the finding
                say(device=str(device), error=f"{type(error).__name__}: {error}"[:400])
                working.remove(device)
    say(done=True)


def devices_of(torch: Any, kind: str) -> list[Any]:
    """Return the devices to try, and say which part of the machine each is."""
    if kind == "cpu":
        say(device="cpu", name="cpu")
        return [torch.device("cpu")]
    if not torch.cuda.is_available():
        return []
    devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    for device in devices:
        say(device=str(device), **identity(torch.cuda.get_device_properties(device), device.index))
    return devices


def identity(properties: Any, index: int) -> dict[str, Any]:
    """Return what names the GPU; torch numbers only those that it may see."""
    place = [getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    known = [part for part in place if part is not None]
    uuid = getattr(properties, "uuid", None)
    return {
        "name": properties.name,
        "multiprocessors": getattr(properties, "multi_processor_count", None),
        "index": index,
        "pci": "{:04x}:{:02x}:{:02x}.0".format(*known) if len(known) == len(place) else None,
        "uuid": None if uuid is None else f"GPU-{uuid}",
    }


def compute(torch: Any, device: Any, name: str, operands: list[Any], is_exact: bool, rounds: int) -> None:
    """Compute the product *rounds* times on *device*, and tell each result."""
    left, right = (each.to(device) for each in operands)
    known: dict[bytes, str] = {}
    for number in range(rounds):
        result = torch.matmul(left, right).cpu().contiguous()
        bits = bits_of(result)
        if bits not in known:
            # Whole numbers are the same number in every format: one answer serves them all.
            exact = bits_of(result.to(torch.float64).to(torch.int64)) if is_exact else bits
            known[bits] = hashlib.sha256(exact).hexdigest()[:32]
        say(device=str(device), problem=name, round=number, digest=known[bits])


def operand(torch: Any, size: int, seed: int, format_name: str, magnitude: int | None) -> Any:
    """Return a (size, size) matrix that is the same everywhere: whole-number arithmetic only."""
    mixed = scrambled(torch, size, seed) >> 7
    kind = getattr(torch, format_name)
    if magnitude is None:
        return (mixed.to(torch.float64) / 2**23 - 1).to(kind)
    return (mixed % (2 * magnitude + 1) - magnitude).to(kind)


def scrambled(torch: Any, size: int, seed: int) -> Any:
    """Return 31 bits for each place of a (size, size) matrix, without a pattern that products would show."""
    row = torch.arange(size, dtype=torch.int64).unsqueeze(1)
    column = torch.arange(size, dtype=torch.int64).unsqueeze(0)
    bits = ((row * 73856093) ^ (column * 19349663) ^ seed) & _LOW_31_BITS
    bits = ((bits ^ (bits >> 13)) * 1274126177) & _LOW_31_BITS
    return ((bits ^ (bits >> 16)) * 668265263) & _LOW_31_BITS


def bits_of(held: Any) -> bytes:
    """Return every bit of *held*, a matrix on the host; torch may be here without numpy."""
    return ctypes.string_at(held.data_ptr(), held.numel() * held.element_size())


def say(**answer: Any) -> None:
    """Print one line of the answer at once."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
