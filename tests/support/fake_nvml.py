"""Build the driver's library that tests stand in for, held to NVIDIA's own header by the compiler."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "data" / "fake_nvml" / "fake_nvml.c"

# A signature that differs from the header is an error of its own; a function that it does not have must be one too.
STRICT = ("-Wall", "-Wextra", "-Wmissing-prototypes", "-Werror")


def header_folder() -> Path:
    """Return the folder of NVIDIA's nvml.h, as its package installed it.

    Raises:
        FileNotFoundError: It is not installed: the test dependencies are incomplete.
    """
    try:
        found = [file for file in files("nvidia-nvml-dev") or () if file.name == "nvml.h"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise FileNotFoundError("nvml.h is missing: install the test dependency nvidia-nvml-dev")
    return Path(str(found[0].locate())).parent


def built(folder: Path, *defines: str, source: Path = SOURCE) -> Path:
    """Return *folder* with libnvidia-ml.so.1 in it, compiled from *source*.

    Raises:
        FileNotFoundError: There is no compiler or no header.
        subprocess.CalledProcessError: The source does not fit the header; what the compiler said is its stderr.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise FileNotFoundError("gcc is missing: apt-get install gcc libc6-dev")
    library = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libnvidia-ml.so.1", *STRICT, *(f"-D{name}" for name in defines)]
    command = [compiler, *flags, f"-I{header_folder()}", "-o", str(library), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder
