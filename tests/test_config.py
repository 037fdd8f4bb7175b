"""Settings: which source wins, and what is said of a wrong one."""

from pathlib import Path

import pytest

from structrag.config import Settings, load_settings
from structrag.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_model_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRUCTRAG_MODELS__CACHE", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "structrag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def origin_of(key: str, folder: Path, flags: dict[str, object] | None = None) -> tuple[str, str]:
    _, origins = load_settings(folder, flags)
    [origin] = [origin for origin in origins if origin.key == key]
    return origin.value, origin.source


def test_flag_wins_over_environment_over_file_over_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "models.concurrency"
    assert origin_of(key, folder) == ("4", "default")
    path = write(folder, "[models]\nconcurrency = 5\n")
    assert origin_of(key, folder) == ("5", str(path))
    monkeypatch.setenv("STRUCTRAG_MODELS__CONCURRENCY", "6")
    assert origin_of(key, folder) == ("6", "environment")
    assert origin_of(key, folder, {key: 7}) == ("7", "flag")
    settings, _ = load_settings(folder, {key: 7})
    assert settings.models.concurrency == 7


def test_sources_are_merged_key_by_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "[models]\nchat = 'from-file'\nretries = 1\n[budget]\ncalls = 9\n")
    monkeypatch.setenv("STRUCTRAG_MODELS__BASE_URL", "http://127.0.0.1:1/v1")
    settings, _ = load_settings(folder, {"models.timeout": 5.0})
    assert (settings.models.chat, settings.models.retries) == ("from-file", 1)
    assert (settings.models.base_url, settings.models.timeout) == ("http://127.0.0.1:1/v1", 5.0)
    assert settings.budget.calls == 9


def test_every_setting_has_an_origin_and_without_sources_all_are_defaults() -> None:
    settings, origins = load_settings()
    assert settings == Settings()
    assert {origin.source for origin in origins} == {"default"}
    assert len(origins) == sum(len(type(getattr(settings, s)).model_fields) for s in Settings.model_fields)


def test_the_corpus_variable_is_no_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTRAG_CORPUS", str(folder))
    settings, _ = load_settings(folder)
    assert settings == Settings()


def test_a_section_in_the_file_named_like_the_corpus_variable_is_unknown(folder: Path) -> None:
    write(folder, "corpus = 'here'\n")
    with pytest.raises(ConfigError, match=r"there is no setting corpus\."):
        load_settings(folder)


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("[models]\nchatt = 'x'\n", "models.chatt", "models.chat"),
        ("[model]\nchat = 'x'\n", "model.chat", "models.chat"),
        ("concurency = 2\n", "concurency", "models.concurrency"),
        ("[retrieval]\nchunksize = 300\n", "retrieval.chunksize", "retrieval.chunk_size"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_its_place_and_the_nearest_known_one(
    folder: Path, text: str, unknown: str, nearest: str
) -> None:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message == f"{path}: there is no setting {unknown}."
    assert caught.value.hint == f"Did you mean {nearest}?"


def test_an_unknown_key_in_the_environment_or_a_flag_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^flag: there is no setting router\.nmae\.\nDid you mean router\.name\?"):
        load_settings(folder, {"router.nmae": "chat"})
    monkeypatch.setenv("STRUCTRAG_BUDGET__CALL", "3")
    with pytest.raises(ConfigError, match=r"^environment: there is no setting budget\.call\."):
        load_settings(folder)


def test_a_key_like_no_other_is_refused_with_the_command_that_lists_them(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(folder, {"zzz.qqq": 1})
    assert caught.value.hint == "`structrag config show` lists all settings."


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("models.concurrency", "many"),
        ("models.concurrency", "0"),
        ("models.timeout", "-1"),
        ("router.unsure_below", "1.5"),
        ("router.unsure_below", "often"),
        ("router.when_unsure", "second"),
        ("budget.calls", "-2"),
    ],
)
def test_a_wrong_value_is_refused_with_its_source_key_and_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv("STRUCTRAG_" + key.upper().replace(".", "__"), value)
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message.startswith(f"environment: the setting {key} is wrong: ")
    assert caught.value.message.endswith(f"(got {value!r}).")


def test_the_source_named_is_the_one_whose_value_is_in_force(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, "[models]\nretries = 'often'\n")
    monkeypatch.setenv("STRUCTRAG_MODELS__RETRIES", "2")
    settings, _ = load_settings(folder)
    assert settings.models.retries == 2
    with pytest.raises(ConfigError, match=r"^flag: the setting models\.retries is wrong"):
        load_settings(folder, {"models.retries": "never"})


def test_chunks_must_be_larger_than_what_they_share(folder: Path) -> None:
    with pytest.raises(ConfigError, match="overlap must be less than chunk_size"):
        load_settings(folder, {"retrieval.chunk_size": 200, "retrieval.overlap": 200})
    load_settings(folder, {"retrieval.chunk_size": 200, "retrieval.overlap": 199})


def test_a_value_where_a_section_belongs_is_refused_also_if_another_source_gives_the_section(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(folder, "models = 'embedded'\n")
    monkeypatch.setenv("STRUCTRAG_MODELS__CHAT", "embedded")
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message == f"{path}: models is a section of settings, not a setting (got 'embedded')."


def test_a_variable_without_a_key_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTRAG_MODELS__", "x")
    monkeypatch.setenv("STRUCTRAG_MODELS__CHAT", "embedded")
    with pytest.raises(ConfigError, match=r"^environment: there is no setting models\."):
        load_settings(folder)


def test_broken_toml_is_refused_with_its_place(folder: Path) -> None:
    path = write(folder, "[models\nchat = 1")
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message.startswith(f"{path} is not valid TOML: ")


def test_a_file_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "structrag.toml").write_bytes("[models]\nchat = 'é'\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_settings(folder)


def test_a_byte_order_mark_is_no_error(folder: Path) -> None:
    (folder / "structrag.toml").write_bytes("[models]\nchat = 'x'\n".encode("utf-8-sig"))
    settings, _ = load_settings(folder)
    assert settings.models.chat == "x"


def test_a_file_that_may_not_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, "")

    def refuse(self: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)  # permissions do not stop root, under whom CI may run
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message == f"{path} cannot be read: Permission denied."


def test_the_users_home_is_understood_in_folders(folder: Path) -> None:
    write(folder, "[models]\ncache = '~/models'\n[router]\nversions = '~/routers'\n")
    settings, _ = load_settings(folder)
    assert settings.models.cache == Path.home() / "models"
    assert settings.router.versions == Path.home() / "routers"


def test_by_default_the_trained_router_decides_by_its_own_threshold(folder: Path) -> None:
    router = load_settings(folder)[0].router
    assert (router.name, router.unsure_below, router.when_unsure) == ("policy", None, "runner_up")
    write(folder, "[router]\nunsure_below = 0\nwhen_unsure = 'chosen'\n")
    router = load_settings(folder)[0].router
    assert (router.unsure_below, router.when_unsure) == (0.0, "chosen")


def test_keys_of_actions_are_written_with_dots_quoted_or_not(folder: Path) -> None:
    write(folder, '[tui.keys]\ncorpus.add = "ctrl+n"\n"app.help" = "f9"\n')
    settings, _ = load_settings(folder)
    assert settings.tui.keys == {"corpus.add": "ctrl+n", "app.help": "f9"}


def test_a_key_that_is_no_text_is_refused_with_its_place(folder: Path) -> None:
    path = write(folder, "[tui.keys]\ncorpus.add = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(folder)
    assert caught.value.message.startswith(f"{path}: the setting tui.keys.corpus.add is wrong")
