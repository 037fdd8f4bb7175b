"""Settings: flags, then the environment, then a file, then defaults. Unknown keys are refused.

Every setting can be given in the environment as ``STRUCTRAG_<SECTION>__<KEY>`` (``STRUCTRAG_MODELS__CHAT``)
and in ``structrag.toml`` in the corpus folder. Secrets are read from the environment alone and never stored.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from structrag.errors import ConfigError

FILE_NAME = "structrag.toml"
BUILT_IN = "built-in"
_PREFIX = "STRUCTRAG_"
_NOT_QUOTED = frozenset({"models.base_url", "models.api_key_env"})
"""Into these, keys are put by mistake."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _without_credentials(url: str) -> str:
    """Refuse a URL with a password in it: settings are shown, and stand in messages."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("it holds a user name or key; put the key into the environment, see models.api_key_env")
    return url


class ModelSettings(_Section):
    """Which models answer."""

    chat: str = "embedded"
    """`embedded`, LangChain's `provider:model` (`openai:gpt-4.1-mini`, `ollama:qwen3`), or a name with `base_url`."""
    base_url: Annotated[str, AfterValidator(_without_credentials)] = ""
    """Any OpenAI-compatible endpoint, such as `http://127.0.0.1:8000/v1`."""
    api_key_env: str = Field(default="OPENAI_API_KEY", pattern=r"^([A-Z_][A-Z0-9_]*)?$")
    """The environment variable that holds the key for `base_url`, in capitals; never the key itself."""
    weights: str = ""
    """Where the embedded model's file comes from: empty (installed parts), a URL, or a path."""
    cache: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=lambda: platformdirs.user_cache_path("structrag") / "models"
    )
    """The folder where model files are kept."""
    embedder: str = "embedded"
    """`embedded`, a sentence-transformers folder, or a LangChain provider string (`openai:text-embedding-3-small`)."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Calls under way at once."""
    retries: int = Field(default=3, ge=0, le=10)
    """How often a call is repeated after a transient fault."""
    timeout: float = Field(default=600, gt=0)
    """Seconds to wait for one reply."""
    prompt_price: float = Field(default=0, ge=0)
    """What a million prompt tokens cost, in the currency of your provider; 0 if unknown."""
    completion_price: float = Field(default=0, ge=0)
    """What a million completion tokens cost; 0 if unknown."""


class RetrievalSettings(_Section):
    """How documents are split and found."""

    chunk_size: int = Field(default=700, ge=100, le=8000)
    """Characters per chunk."""
    overlap: int = Field(default=80, ge=0)
    """Characters that neighbouring chunks share."""
    passages: int = Field(default=8, ge=1, le=50)
    """Chunks that the chunk structure holds."""
    reranker: str = ""
    """A folder with a sentence-transformers cross-encoder, which orders the best 4 times `passages` chunks anew; empty
    for none."""
    documents: int = Field(default=16, ge=1, le=500)
    """Documents that a table, graph, algorithm or catalogue is built from."""
    listed_documents: int = Field(default=100, ge=1, le=10_000)
    """Documents over which a catalogue lists, counts and groups where that costs no model call."""

    @model_validator(mode="after")
    def _overlap_is_part_of_a_chunk(self) -> RetrievalSettings:
        if self.overlap >= self.chunk_size:
            raise ValueError("overlap must be less than chunk_size")
        return self


class RouterSettings(_Section):
    """Who chooses the structure."""

    name: str = "policy"
    """`policy` (the trained router in use), `policy:<version>`, `chat` (few-shot), `fixed:<structure>`, or one that a
    package offers under the entry point group `structrag.routers`."""
    unsure_below: float | None = Field(default=None, ge=0, le=1)
    """A route with less confidence is called unsure; by default the router's own threshold."""
    when_unsure: Literal["runner_up", "chosen"] = "runner_up"
    """`runner_up`: the second choice is tried as well if the first finds nothing; `chosen`: it is not."""
    versions: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=lambda: platformdirs.user_data_path("structrag") / "routers"
    )
    """The folder where trained routers are kept."""


class BuilderSettings(_Section):
    """Who builds each structure: `built-in`, or a name of the entry point group `structrag.builders`."""

    table: str = BUILT_IN
    graph: str = BUILT_IN
    algorithm: str = BUILT_IN
    catalogue: str = BUILT_IN
    chunk: str = BUILT_IN


def _dotted(keys: Any) -> Any:
    """Return the keys of actions by dotted name: TOML reads ``corpus.add = "n"`` as a table in a table."""
    if not isinstance(keys, Mapping):
        return keys
    flat: dict[str, Any] = {}
    for name, value in keys.items():
        inner = _dotted(value)
        flat |= {f"{name}.{rest}": key for rest, key in inner.items()} if isinstance(inner, Mapping) else {name: value}
    return flat


class TuiSettings(_Section):
    """How the terminal UI looks, and its keys."""

    theme: str = ""
    """`textual-dark`, `textual-light`, `high-contrast` or another one that the command palette offers."""
    keys: Annotated[dict[str, str], BeforeValidator(_dotted)] = Field(default_factory=dict)
    """Other keys for actions, in the table `[tui.keys]`: `corpus.add = "ctrl+n"`, several with commas between them."""


class BudgetSettings(_Section):
    """What one question may cost; 0 means no limit."""

    calls: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)
    cost: float = Field(default=0, ge=0)
    """In the currency of `models.prompt_price` and `models.completion_price`, which must be known for it."""


class CorpusBudgetSettings(_Section):
    """What all questions of a corpus may cost together, from its first one on; 0 means no limit."""

    calls: int = Field(default=0, ge=0)
    tokens: int = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0)
    """That the model took, not those that passed."""
    cost: float = Field(default=0, ge=0)
    """In the currency of `models.prompt_price` and `models.completion_price`, which must be known for it."""


class Settings(_Section):
    """All settings."""

    models: ModelSettings = ModelSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    router: RouterSettings = RouterSettings()
    builders: BuilderSettings = BuilderSettings()
    budget: BudgetSettings = BudgetSettings()
    corpus_budget: CorpusBudgetSettings = CorpusBudgetSettings()
    tui: TuiSettings = TuiSettings()

    @model_validator(mode="after")
    def _require_prices(self) -> Self:
        # With one price of two, half of what is spent would count for nothing.
        known = self.models.prompt_price and self.models.completion_price
        for name, limits in (("budget", self.budget), ("corpus_budget", self.corpus_budget)):
            if limits.cost and not known:
                raise ValueError(f"`{name}.cost` is set, but what tokens cost is not known.")
        return self


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one setting's value came from: ``flag``, ``environment``, the file's path, or ``default``."""

    key: str
    value: str
    source: str


def load_settings(folder: Path | None = None, flags: Mapping[str, Any] | None = None) -> tuple[Settings, list[Origin]]:
    """Return the settings in force for a corpus folder, and where each came from.

    Args:
        folder: The corpus folder, whose ``structrag.toml`` is read if it is there.
        flags: Values given on the command line or by the caller, by dotted key (``models.chat``).

    Raises:
        ConfigError: A key is unknown or a value does not fit; the message names the source and the key.
    """
    path = folder / FILE_NAME if folder else None
    from_file = _read_file(path) if path else {}
    from_env = _read_environment()
    from_flags = _nest(flags or {})
    sources = [("flag", from_flags), ("environment", from_env), (str(path), from_file)]
    for source, data in sources:
        _require_sections(data, source)
    merged = _merge(_merge(from_file, from_env), from_flags)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _explain(error, sources) from error
    return settings, list(_origins(settings, sources))


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors write a byte order mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Make its folder readable for this user."
        ) from error


def _read_environment() -> dict[str, Any]:
    flat = {
        name.removeprefix(_PREFIX).lower().replace("__", "."): value
        for name, value in os.environ.items()
        if name.startswith(_PREFIX) and "__" in name
    }
    return _nest(flat)


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for dotted, value in flat.items():
        section, dot, key = dotted.partition(".")
        if dot:
            nested.setdefault(section, {})[key] = value
        else:
            nested[section] = value
    return nested


def _merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _require_sections(data: Mapping[str, Any], source: str) -> None:
    for section in Settings.model_fields:
        if not isinstance(data.get(section, {}), dict):
            raise ConfigError(f"{source}: {section} is a section of settings, not a setting (got {data[section]!r}).")


def _leaves(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    for section in Settings.model_fields:
        for key, value in getattr(settings, section):
            yield section, key, value


def _origins(settings: Settings, sources: list[tuple[str, dict[str, Any]]]) -> Iterator[Origin]:
    for section, key, value in _leaves(settings):
        source = next((name for name, data in sources if key in data.get(section, {})), "default")
        yield Origin(key=f"{section}.{key}", value=str(value), source=source)


def _explain(error: ValidationError, sources: list[tuple[str, dict[str, Any]]]) -> ConfigError:
    first = error.errors()[0]
    if first["type"] == "value_error" and not first["loc"]:  # each setting is right, but not together
        return ConfigError(
            str(first["ctx"]["error"]),
            hint="Set `models.prompt_price` and `models.completion_price` to what a million tokens cost.",
        )
    dotted = ".".join(str(part) for part in first["loc"])
    section, _, key = dotted.partition(".")
    source = next(
        (name for name, data in sources if section in data and (not key or key.partition(".")[0] in data[section])),
        "configuration",
    )
    if first["type"] != "extra_forbidden":
        got = "" if dotted in _NOT_QUOTED else f" (got {first['input']!r})"
        return ConfigError(f"{source}: the setting {dotted} is wrong: {first['msg']}{got}.")
    if not key and isinstance(first["input"], dict):  # an unknown section
        dotted = ".".join([dotted, *list(first["input"])[:1]])
    return ConfigError(f"{source}: there is no setting {dotted}.", hint=_suggestion(dotted))


def _suggestion(dotted: str) -> str:
    by_key = {key: f"{section}.{key}" for section, key, _ in _leaves(Settings())}
    close = difflib.get_close_matches(dotted, by_key.values(), n=1)
    close = close or [by_key[k] for k in difflib.get_close_matches(dotted.rpartition(".")[2], by_key, n=1)]
    return f"Did you mean {close[0]}?" if close else "`structrag config show` lists all settings."
