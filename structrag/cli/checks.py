"""What ``structrag doctor`` checks, one function each."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from structrag.errors import StructRAGError

if TYPE_CHECKING:
    from structrag.cli.narration import Activity
    from structrag.config import ModelSettings, Settings

_DISTRIBUTION = "structrag"
_REQUIREMENT = re.compile(r"(?P<package>[\w.-]+)[^;]*;.*\bextra == ['\"](?P<extra>[\w-]+)['\"]")
_ALL = "all"
_SPARE_BYTES = 1 << 28
"""Free space under which an index or a model can no longer be written."""
_COMFORTABLE_BYTES = 2 << 30

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        remedy: What to do, unless all is well.
        repair: Does what ``--repair`` does about it, and returns what that was.
    """

    status: Status
    message: str
    remedy: str = ""
    repair: Callable[[], str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict, and what it is about.

    Attributes:
        is_model: Whether a failure means that models cannot be used, rather than anything else.
        repaired: What was repaired before that verdict.
    """

    name: str
    status: Status
    message: str
    remedy: str
    is_model: bool
    repaired: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that ``structrag doctor --json`` prints."""
        record = {"name": self.name, "status": self.status, "message": self.message, "remedy": self.remedy}
        return record | ({"repaired": self.repaired} if self.repaired else {})


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to check."""

    name: str
    run: Callable[[], Verdict]
    is_model: bool = False


def run_checks(checks: list[Check], activity: Activity, *, repair: bool = False) -> Iterator[Outcome]:
    """Run the checks one after the other, and on demand repair what can be, which is then checked once more.

    An error raised on purpose is the verdict of its check.
    """
    for check in checks:
        repaired = ""
        with activity:
            activity.say(f"Checking: {check.name}")
            verdict = _verdict(check.run)
            if repair and verdict.repair is not None:
                activity.say(f"Repairing: {check.name}")
                try:
                    repaired = verdict.repair()
                except StructRAGError as error:
                    verdict = Verdict("fail", f"{verdict.message}; not repaired: {error.message}", error.hint or "")
                else:
                    verdict = _verdict(check.run)
        yield Outcome(check.name, verdict.status, verdict.message, verdict.remedy, check.is_model, repaired)


def _verdict(run: Callable[[], Verdict]) -> Verdict:
    try:
        return run()
    except StructRAGError as error:
        return Verdict("fail", error.message, error.hint or "")


def all_checks(settings: Settings, folder: Path, activity: Activity, *, offline: bool) -> list[Check]:
    """Return the checks for these settings and this corpus folder; ``offline`` leaves the chat model alone."""
    from structrag.cli import corpus_checks

    models = settings.models
    return [
        Check("python", check_python),
        *(Check(f"extra {extra}", partial(check_extra, extra)) for extra in known_extras()),
        Check("weights", partial(check_weights, models), is_model=True),
        Check("chat model", partial(check_chat, models, activity, offline=offline), is_model=True),
        Check("embedder", partial(check_embedder, models), is_model=True),
        Check("corpus", partial(check_folder, folder)),
        Check("database", partial(corpus_checks.check_database, settings.retrieval, folder)),
        Check("records", partial(corpus_checks.check_records, folder)),
        Check("documents", partial(corpus_checks.check_documents, models, folder)),
        Check("router", partial(corpus_checks.check_router, settings.router)),
        Check("disk", partial(check_disk, models, folder)),
    ]


def check_python() -> Verdict:
    """Check that this Python is one that StructRAG supports."""
    running = ".".join(map(str, sys.version_info[:3]))
    required = metadata(_DISTRIBUTION)["Requires-Python"].removeprefix(">=")
    if sys.version_info[:2] < tuple(int(part) for part in required.split(".")):
        return Verdict("fail", f"Python {running}", f"Use Python {required} or later.")
    return Verdict("ok", f"Python {running}, structrag {version(_DISTRIBUTION)}")


def known_extras() -> list[str]:
    """Return the names of the extras that StructRAG has, without the one that stands for all of them."""
    return [name for name in metadata(_DISTRIBUTION).get_all("Provides-Extra", []) if name != _ALL]


def check_extra(extra: str) -> Verdict:
    """Check whether the packages of an extra are installed."""
    found = (_REQUIREMENT.match(line) for line in requires(_DISTRIBUTION) or ())
    packages = [match["package"] for match in found if match and match["extra"] == extra]
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        return Verdict(
            "warn",
            f"not installed: {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}",
            f"If you need it: pip install '{_DISTRIBUTION}[{extra}]'",
        )
    return Verdict("ok", f"installed ({len(packages)} packages)")


def check_weights(models: ModelSettings) -> Verdict:
    """Check that the embedded chat model's file is in the cache, or can be put there."""
    from structrag.cli.environment import how_to_get, weights_record
    from structrag.models.loading import EMBEDDED
    from structrag.models.weights import QWEN_CODER

    if models.base_url or models.chat != EMBEDDED:
        return Verdict("ok", f"not needed: the chat model is {models.chat}")
    if models.weights and not models.weights.startswith(("http://", "https://")):
        if Path(models.weights).expanduser().is_file():
            return Verdict("ok", f"{models.weights}, checked when it is first used")
        return Verdict("fail", f"there is no file {models.weights}", "Correct the setting models.weights.")
    record = weights_record(QWEN_CODER, models.cache)
    if record["status"] == "verified":
        return Verdict("ok", f"{record['file']}, verified")
    obtainable = bool(models.weights) or all(find_spec(part) for part in QWEN_CODER.parts)
    return Verdict("warn" if obtainable else "fail", f"{record['status']}: {record['file']}", how_to_get(QWEN_CODER))


def check_chat(models: ModelSettings, activity: Activity, *, offline: bool) -> Verdict:
    """Check that the chat model answers; without a cache, as a kept reply would prove nothing."""
    from structrag.models.chat import Prompt
    from structrag.models.loading import load_chat_model
    from structrag.usage import UsageMeter

    if offline:
        return Verdict("warn", f"not called: {models.chat}", "Leave out --offline to call it.")
    # Once is enough: a fault that passes when repeated is a finding here.
    chat = load_chat_model(models.model_copy(update={"retries": 0}), progress=activity.prepare)
    meter = UsageMeter()
    prompt = Prompt("doctor", "Answer with one word.", "What is the capital of France?", max_tokens=8)
    text = chat.reply(prompt, meter).text
    if not text:
        return Verdict("fail", f"{models.chat} sent an empty reply", "Choose another model: --model NAME.")
    return Verdict("ok", f"{models.chat} answered in {meter.snapshot().model_seconds:.1f} s")


def check_embedder(models: ModelSettings) -> Verdict:
    """Check that the embedder loads and embeds."""
    from structrag.models.embedding import load_embedder

    embedder = load_embedder(models.embedder)
    rows = embedder.embed(["heat pump"])
    return Verdict("ok", f"{embedder.name}, {rows.shape[1]} dimensions")


def check_folder(folder: Path) -> Verdict:
    """Check that the corpus folder, or the folder it would be created in, can be read and written."""
    place = _nearest_existing(folder)
    try:
        next(place.iterdir(), None)
        with tempfile.TemporaryFile(dir=place):
            exists = folder.expanduser().is_dir()
    except OSError as error:
        return Verdict("fail", f"{folder}: {error.strerror}", "Choose another folder: --corpus DIR.")
    return Verdict("ok", f"{folder} is {'readable and writable' if exists else 'not there yet, and can be created'}")


def check_disk(models: ModelSettings, folder: Path) -> Verdict:
    """Check the free space where models and the corpus are kept."""
    places: Mapping[str, Path] = {"models": models.cache, "the corpus": folder}
    free = {name: shutil.disk_usage(_nearest_existing(path)).free for name, path in places.items()}
    name = min(free, key=lambda place: free[place])
    message = f"{free[name] / 1e9:.1f} GB free for {name}, in {places[name]}"
    if free[name] >= _COMFORTABLE_BYTES:
        return Verdict("ok", message)
    return Verdict("warn" if free[name] >= _SPARE_BYTES else "fail", message, "Free some space, or use another disk.")


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _nearest_existing(path: Path) -> Path:
    absolute = path.expanduser().absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())
