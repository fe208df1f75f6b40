"""What comes with the package or stands on this machine: rule files, page files, names."""

from __future__ import annotations

import socket
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from clusterwatch.errors import SourceError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def catalog_texts(rules_dir: Path | None = None) -> dict[str, str]:
    """Return the text of each rule file by its name: the package's own first, then the site's as "site/NAME".

    What published projects say of Xids comes with them, as "profiles/NAME".

    Raises:
        SourceError: If *rules_dir* or one of its files cannot be read.
    """
    return {**_package_rules(), **(_site_rules(rules_dir) if rules_dir else {})}


def policy_text(name_or_path: str) -> str:
    """Return the text of a policy: a built-in one by its name, or a site's own by its path.

    Raises:
        SourceError: If it is neither.
    """
    built_in = files("clusterwatch") / "policy" / "builtin" / f"{Path(name_or_path).name}.toml"
    if Path(name_or_path).name == name_or_path and built_in.is_file():
        return built_in.read_text(encoding="utf-8")
    try:
        return Path(name_or_path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{name_or_path!r} is no built-in policy, and no file that can be read: {error}") from error


def boot_id() -> str:
    """Return the running kernel's boot id, 32 hexadecimal digits; "" where the kernel tells none."""
    try:
        return _BOOT_ID.read_text().strip().replace("-", "")
    except OSError:
        return ""


def host_name() -> str:
    """Return this machine's name."""
    return socket.gethostname()


def web_folder() -> Traversable:
    """Return the folder of the page's templates and static files, inside the package."""
    return files("clusterwatch") / "api" / "web"


def page_template(name: str) -> str:
    """Return the text of the page's template *name*, such as "index.html".

    Raises:
        FileNotFoundError: If the package holds none of that name.
    """
    return (web_folder() / name).read_text(encoding="utf-8")


def _package_rules() -> dict[str, str]:
    detect = files("clusterwatch") / "detect"
    texts = {**_texts_in(detect / "catalog"), **_texts_in(detect / "profiles", "profiles/")}
    return dict(sorted(texts.items()))


def _texts_in(folder: Traversable, prefix: str = "") -> dict[str, str]:
    found = (file for file in folder.iterdir() if file.name.endswith(".toml"))
    return {prefix + file.name: file.read_text(encoding="utf-8") for file in found}


def _site_rules(folder: Path) -> dict[str, str]:
    try:
        return {
            f"site/{file.name}": file.read_text(encoding="utf-8")
            for file in sorted(folder.iterdir())
            if _is_rules(file)
        }
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"rules in {folder} cannot be read: {error}") from error


def _is_rules(file: Path) -> bool:
    return file.suffix == ".toml" and not file.name.startswith(".")
