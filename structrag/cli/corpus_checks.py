"""What ``structrag doctor`` checks of a corpus and of the trained routers, and how it repairs them.

The corpus is not opened for that as for other commands: opening it repairs some of what is looked for here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structrag.cli.checks import Verdict
from structrag.cli.invocation import is_corpus
from structrag.errors import CorpusInUseError, StoreError

if TYPE_CHECKING:
    from structrag.config import ModelSettings, RetrievalSettings, RouterSettings
    from structrag.corpus.sole_writer import Holder
    from structrag.index.chroma import VectorIndex
    from structrag.models.embedding import Embedder

_INDEX_FOLDER = "chroma"
_REPAIRING = "repairing"
_NONE = Verdict("ok", "none yet")
_REINDEX = "`structrag doctor --repair` moves the index aside and makes it anew from the stored documents."


def check_database(retrieval: RetrievalSettings, folder: Path) -> Verdict:
    """Check that the corpus file is a whole database of a version that can be opened."""
    from structrag.corpus.salvage import damage
    from structrag.corpus.store import DATABASE_NAME

    if not is_corpus(folder):
        return _NONE
    path = folder.expanduser() / DATABASE_NAME
    found = damage(path)
    if found:
        return Verdict(
            "fail",
            f"{path} is damaged: {found}",
            "`structrag doctor --repair` moves the file aside and saves what can be read of it into a new one.",
            partial(_salvage, retrieval, path),
        )
    return Verdict("ok", f"{path.name} is whole")


def _salvage(retrieval: RetrievalSettings, path: Path) -> str:
    from structrag.corpus.salvage import salvage
    from structrag.corpus.sole_writer import SoleWriter

    with SoleWriter(path.parent).hold(_REPAIRING):
        return str(salvage(path, chunk_size=retrieval.chunk_size, overlap=retrieval.overlap))


def check_records(folder: Path) -> Verdict:
    """Check that every answer, preference and edit can be read."""
    from structrag.corpus.damaged_records import damaged_records, move_aside
    from structrag.corpus.database import Database
    from structrag.corpus.sole_writer import SoleWriter
    from structrag.corpus.store import DATABASE_NAME
    from structrag.router.preferences import preference_pair
    from structrag.structures.edits import edit_from_dict

    if not is_corpus(folder):
        return _NONE
    place = folder.expanduser()
    readers: dict[str, Callable[[Any], object]] = {"preferences": preference_pair, "edits": edit_from_dict}
    with closing(Database(place / DATABASE_NAME)) as database:
        found = damaged_records(database, readers)

    def repair() -> str:
        with SoleWriter(place).hold(_REPAIRING), closing(Database(place / DATABASE_NAME)) as database:
            damaged = damaged_records(database, readers)
            return f"moved {len(damaged)} records aside, into {move_aside(database, damaged, place).name}"

    if found:
        named = ", ".join(map(str, found[:3])) + (" …" if len(found) > 3 else "")
        remedy = "`structrag doctor --repair` writes them to a file beside the corpus and leaves them out from then on."
        return Verdict("fail", f"{len(found)} cannot be read: {named}", remedy, repair)
    return Verdict("ok", "every answer, preference and edit can be read")


def check_documents(models: ModelSettings, folder: Path) -> Verdict:
    """Check that the index is whole, is of this embedder, and holds the chunks of the documents and no others."""
    from structrag.corpus.sole_writer import SoleWriter
    from structrag.corpus.store import DATABASE_NAME, CorpusStore
    from structrag.index.chroma import VectorIndex
    from structrag.models.embedding import load_embedder

    if not is_corpus(folder):
        return _NONE
    folder = folder.expanduser()
    try:
        interrupted = SoleWriter(folder).interrupted()
    except CorpusInUseError as error:
        return Verdict("warn", error.message, "Wait until it has finished, and check again.")
    embedder = load_embedder(models.embedder)
    reindex = partial(_reindex, folder, embedder)
    with CorpusStore.open(folder / DATABASE_NAME) as store:
        try:
            store.check_embedder(embedder.name)
        except StoreError as error:
            return Verdict("fail", error.message, f"Correct models.embedder; or {_REINDEX}", reindex)
        documents = len(store.ids())
        stored = {chunk_id for chunk_id, _ in store.chunks()}
    indexed: set[int] = set()
    if (folder / _INDEX_FOLDER).is_dir():
        with VectorIndex(folder / _INDEX_FOLDER, embedder) as index:
            try:
                if problem := _index_problem(index, embedder):
                    return Verdict("fail", problem, _REINDEX, reindex)
                indexed = set(index.entries())
            except StoreError as error:
                return Verdict("fail", error.message, _REINDEX, reindex)
    if stored != indexed or interrupted:
        missing = f"{len(stored - indexed)} chunks are not in the index, {len(indexed - stored)} are there in excess"
        return Verdict(
            "warn",
            " ".join(filter(None, [_told(interrupted), missing])),
            f"The next question repairs it, and so does `structrag doctor --repair -c {folder}`.",
            partial(_complete, folder, embedder),
        )
    return Verdict("ok", f"{documents} documents in {len(stored)} chunks, all of them in the index")


def _told(interrupted: Holder | None) -> str:
    return f"Interrupted: {interrupted};" if interrupted else ""


def _index_problem(index: VectorIndex, embedder: Embedder) -> str:
    # Files first: opening damaged ones can take the process down.
    if problem := index.problem():
        return f"the index is damaged: {problem}"
    dimension, made = index.dimension(), embedder.embed(["heat pump"]).shape[1]
    if dimension not in (None, made):
        return f"the vectors of the index have {dimension} dimensions, those of {embedder.name} {made}"
    return ""


def _reindex(folder: Path, embedder: Embedder) -> str:
    from structrag.corpus.sole_writer import SoleWriter
    from structrag.corpus.store import DATABASE_NAME, CorpusStore
    from structrag.corpus.sync import recover
    from structrag.index.chroma import VectorIndex

    with (
        SoleWriter(folder).hold(_REPAIRING),
        CorpusStore.open(folder / DATABASE_NAME) as store,
        VectorIndex(folder / _INDEX_FOLDER, embedder) as index,
    ):
        embedder.embed(["heat pump"])  # an embedder that fails is found out before anything is moved
        aside = index.set_aside()
        store.set_embedder(embedder.name)
        recover(store, index)
        where = f"moved the index to {aside.name}, and " if aside else ""
        return f"{where}made it anew from {len(store.ids())} documents"


def _complete(folder: Path, embedder: Embedder) -> str:
    from structrag.corpus.sole_writer import SoleWriter
    from structrag.corpus.store import DATABASE_NAME, CorpusStore
    from structrag.corpus.sync import recover
    from structrag.index.chroma import VectorIndex

    with (
        SoleWriter(folder).hold(_REPAIRING),
        CorpusStore.open(folder / DATABASE_NAME) as store,
        VectorIndex(folder / _INDEX_FOLDER, embedder) as index,
    ):
        recover(store, index)
    return "made the index hold the chunks of the documents and no others"


def check_router(settings: RouterSettings) -> Verdict:
    """Check that the router version in use can be used, and that no half-written one is left."""
    from structrag.router.versions import VersionStore

    versions = VersionStore(settings.versions)
    problem = versions.problem()
    if problem:
        remedy = (
            "`structrag doctor --repair` goes back to the last version that is whole; versions stay where they are."
        )
        return Verdict("fail", problem, remedy, versions.repair)
    if leftovers := versions.leftovers():
        remedy = "They do no harm; `structrag doctor --repair` removes them."
        return Verdict("warn", f"{len(leftovers)} half-written files are left", remedy, versions.repair)
    return Verdict("ok", f"{versions.active()} is in use")
