"""The wheel: everything is in it, and a foreign ``router.py`` beside the caller does not get in its way."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from structrag import __version__

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("structrag", "router", "structures", "tui", "corpora", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
WHERE = """
import json, sys
import router, structures
from importlib import import_module
names = ["structrag", "structrag.cli", "structrag.corpora", "structrag.pipeline", "structrag.router",
         "structrag.structures", "structrag.tui", "structrag.utilizer"]
found = {name: import_module(name).__file__ for name in names}
from structrag.corpora import shipped
found["documents"] = [str(path) for corpus in shipped() for path in corpus.folder.iterdir()]
from structrag.router.chat import shipped_prior
found["prompts"] = shipped_prior("nobody")
found["foreign"] = [router.FOREIGN, structures.FOREIGN]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # In a copy, as setuptools leaves `build` and `*.egg-info` where it works.
    tree = tmp_path_factory.mktemp("tree")
    for name in BUILT_FROM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    built = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=False, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = out.glob("*.whl")
    return path


def test_the_wheel_bears_the_version(wheel: Path) -> None:
    assert wheel.name == f"structrag-{__version__}-py3-none-any.whl"


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {"structrag/py.typed"}
    for folder in ("structrag", "router", "structures", "tui"):
        prefix = "structrag" if folder == "structrag" else f"structrag/{folder}"
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{prefix}/{path.relative_to(ROOT / folder).as_posix()}")
    assert any(name.endswith(".tcss") for name in expected)
    assert any("/prompts/" in name for name in expected)
    assert expected - packed == set()


def test_the_corpora_are_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for manifest in (ROOT / "corpora").glob("*/manifest.json"):
        prefix = f"structrag/corpora/{manifest.parent.name}"
        documents = json.loads(manifest.read_text(encoding="utf-8"))["documents"]
        expected = {f"{prefix}/documents/{document['path']}" for document in documents}
        assert expected | {f"{prefix}/manifest.json", f"{prefix}/questions.jsonl"} <= packed


def test_licence_and_notice_are_in_the_wheel_and_tests_are_not(wheel: Path) -> None:
    packed = zipfile.ZipFile(wheel).namelist()
    licences = {Path(name).name for name in packed if ".dist-info/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= licences
    assert [name for name in packed if not name.startswith(("structrag/", f"structrag-{__version__}.dist-info/"))] == []


def test_installed_it_is_found_beside_foreign_modules_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    target, app = tmp_path / "target", tmp_path / "app"
    app.mkdir()
    for name in ("router.py", "structures.py"):
        (app / name).write_text("FOREIGN = True\n", encoding="utf-8")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([sys.executable, *install, "--target", str(target), str(wheel)], check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", WHERE],
        cwd=app,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("foreign") == [True, True]
    assert found.pop("prompts") is None
    documents = found.pop("documents")
    assert len(documents) >= 48
    assert [path for path in [*documents, *found.values()] if not Path(path).is_relative_to(target)] == []
