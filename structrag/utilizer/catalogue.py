"""Reasoning on a catalogue: choose what to list, walk the tree, count by code."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.catalogue_topics import divide
from structrag.structures.quotes import content_words, find_quote, support
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.columns import choose_column, columns
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.grouping import are_listed, group, listed_in
from structrag.utilizer.outlines import choose_outline, outlines
from structrag.utilizer.plans import Call, plan
from structrag.utilizer.reading import judge, load_prompt, read_all

_SHOWN_MEMBERS = 12
_ITEM_CHARACTERS = 280
_BELONGS_FROM = 0.9
"""The embedded model says yes too easily; set on the development questions."""
_SENTENCES_PER_DOCUMENT = 2
_NAME_TOKENS = 40
_CANDIDATE_DOCUMENTS = 10
_FEWEST_WORDS = 3
"""Of a phrase whose words may stand apart."""

_FILE_NAMES = re.compile(r"\bfile ?names?\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s\b")


class CatalogueReasoner:
    """Lists and counts over the tree."""

    type = StructureType.CATALOGUE

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Decide what to list, collect it by walking, let the model pick what fits, and count by code."""
        assert isinstance(structure, Catalogue)
        call = plan(question, "catalogue_plan", session)
        if call is not None and call.name == "groups":
            categories = [a for a in call.arguments if isinstance(a, str)]
            if not are_listed(categories, question):
                categories = listed_in(question)
            if categories:
                return group(categories, structure, session)
            if len(set(call.arguments)) == 1:
                call = Call("kinds", call.arguments)
            else:
                # Two halves of a question for categories: what is wanted are the documents of which something is so.
                session.note("plan", "the question lists no categories, so the documents that fit it are looked for")
                call = Call("documents", (question,))
        if call is not None and call.name == "headings":
            return self._headings(question, call, structure, session)
        if call is None or call.name != "number":
            return _finding(_collect(question, call, structure, session, count=False), structure, count=False)
        counted = next((argument for argument in call.arguments if isinstance(argument, Call)), None)
        return _finding(_collect(question, counted, structure, session, count=True), structure, count=True)

    def _headings(self, question: str, call: Call, catalogue: Catalogue, session: Session) -> Finding:
        """List what a document is divided into; one without any headings is divided into topics first."""
        named = _things(call)
        meant = [document for document in catalogue.near if support(document.title, named) == 1]
        among = replace(catalogue, documents=tuple(meant), further=0) if meant else catalogue
        divided = divide(meant[0], session) if len(meant) == 1 else None
        if divided is not None and divided is not meant[0]:
            session.note("topics", f"{divided.title}: {len(divided.children)} topics, named by the model")
            grown = replace(catalogue, documents=tuple(divided if d is meant[0] else d for d in catalogue.documents))
            listing = _Listing([(topic.title, topic.evidence) for topic in divided.children], len(grown.documents))
            return replace(_finding(listing, grown, count=False), grown=grown)
        outline = choose_outline(question, list(outlines(among)), session, named)
        if outline is None:
            return _finding(_collect(question, None, catalogue, session, count=False), catalogue, count=False)
        session.note("outline", outline.path)
        listing = _Listing(list(outline.entries), len(catalogue.documents))
        return _finding(listing, catalogue, count=False)


def _things(call: Call) -> str:
    return " ".join(argument for argument in call.arguments if isinstance(argument, str))


@dataclass(frozen=True, slots=True)
class _Listing:
    """A list, and over how many documents it was made."""

    entries: list[tuple[str, Evidence]]
    read: int


def _collect(question: str, call: Call | None, catalogue: Catalogue, session: Session, *, count: bool) -> _Listing:
    """Return the entries of the list that a plan names; single statements where it names none that is known."""
    wanted = call.name if call else ""
    everything = len(catalogue.documents)
    if wanted == "all":
        return _Listing([(document.title, document.evidence) for document in catalogue.documents], everything)
    if call and wanted in ("mentions", "documents"):
        return _documents(question, call, catalogue, session, count=count)
    if call and wanted in ("headings", "kinds", "groups"):
        things = _things(call)
        outline = None if wanted == "headings" else choose_column(question, list(columns(catalogue)), session)
        outline = outline or choose_outline(question, list(outlines(catalogue)), session, things)
        if outline is not None:
            session.note("outline", outline.path)
            return _Listing(list(outline.entries), everything if wanted == "headings" else len(catalogue.near))
    items = _statements(question, catalogue, session)
    return _Listing(read_all(question, items, session, stage="catalogue"), len(catalogue.near))


def _documents(question: str, call: Call, catalogue: Catalogue, session: Session, *, count: bool) -> _Listing:
    """Return the documents in which what a plan names stands; those of which the model judges that they fit, if none.

    What stands there word for word is looked for, not judged: that is exact, and costs nothing.
    """
    named = [thing for thing in call.arguments if isinstance(thing, str)]
    hits = (hit for thing in named for hit in _containing(thing, catalogue) or _speaking(thing, catalogue))
    found = list({topic.document_id: (topic, evidence) for topic, evidence in hits}.values())
    if not found:
        judged = _mentioning(question, _things(call) or question, catalogue, session)
        return _Listing(_named(question, judged, session), len(catalogue.near))
    session.note("mentions", f"{' '.join(named)!r} stands in {len(found)} of {len(catalogue.documents)} documents")
    # Documents are counted, not titles: several may have the same one.
    listed = [(topic.title, hit) for topic, hit in found] if count else _named(question, found, session)
    return _Listing(listed, len(catalogue.documents))


def _containing(phrase: str, catalogue: Catalogue) -> list[tuple[Topic, Evidence]]:
    """The documents in which the words of a phrase stand next to each other, in whatever case and number."""
    words = re.findall(r"\w+", phrase)
    if not words:
        return []
    endings = r"(?:['’]?s|es)?"
    pattern = re.compile(
        r"\b" + r"\W+".join(re.escape(_singular(word)) + endings for word in words) + r"\b", re.IGNORECASE
    )
    found = []
    for document in catalogue.documents:
        told = [(member.evidence.quote, member.evidence) for member in document.all_members()]
        told += [(topic.title, topic.evidence) for topic in document.walk()]
        hit = next((evidence for text, evidence in told if pattern.search(text)), None)
        if hit is not None:
            found.append((document, hit))
    return found


def _speaking(phrase: str, catalogue: Catalogue) -> list[tuple[Topic, Evidence]]:
    """The documents in one sentence of which all the words of a phrase stand, as of a title cited with its author."""
    phrase = _POSSESSIVE.sub("", phrase)
    if len(content_words(phrase)) < _FEWEST_WORDS:
        return []
    hits = (
        (d, next((m.evidence for m in d.all_members() if support(phrase, m.text) == 1), None))
        for d in catalogue.documents
    )
    return [(document, hit) for document, hit in hits if hit is not None]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _finding(found: _Listing, catalogue: Catalogue, *, count: bool) -> Finding:
    if not found.entries:
        return NOTHING_FOUND
    values = tuple(answer for answer, _ in found.entries)
    evidence = tuple(item for _, item in found.entries)
    whole = len(catalogue.documents) + catalogue.left_out
    within = f" (among the {found.read} documents nearest to the question, of {whole})"
    told = "; ".join(values) + (within if found.read < whole else "")
    if count:
        number = str(len(values))
        return Finding(f"{number}: {told}", (number,), evidence)
    return Finding(told, values, evidence)


def _statements(question: str, catalogue: Catalogue, session: Session) -> list[tuple[str, Evidence]]:
    """The members nearest to the question, in the order of the text, each below its document and heading."""
    placed = [
        (f"{document.title}, {topic.title}" if topic is not document else topic.title, member)
        for document in catalogue.near
        for topic in document.walk()
        for member in topic.members
    ]
    texts = [f"{heading}: {member.text}" for heading, member in placed]
    nearest = _nearest(question, texts, session)[:_SHOWN_MEMBERS]
    return [(texts[i][:_ITEM_CHARACTERS], placed[i][1].evidence) for i in sorted(nearest)]


def _mentioning(question: str, wanted: str, catalogue: Catalogue, session: Session) -> list[tuple[Topic, Evidence]]:
    """The documents of which the model finds it more likely than not that they belong on the list.

    Each is judged by the sentences nearest to what is wanted, one token a document, so that a long list costs no more
    to write than a short one. Documents that have none near are not judged.
    """
    placed: list[tuple[int, Member]] = [
        (index, member) for index, document in enumerate(catalogue.near) for member in document.all_members()
    ]
    order = _nearest(wanted, [member.text for _, member in placed], session)
    best: dict[int, list[Member]] = {}
    for index, member in (placed[i] for i in order):
        if len(best.setdefault(index, [])) < _SENTENCES_PER_DOCUMENT:
            best[index].append(member)
    judged = list(best)[:_CANDIDATE_DOCUMENTS]
    session.note("coverage", f"judged the nearest {len(judged)} of {len(catalogue.documents)} documents")
    found = []
    for index in judged:
        document, members = catalogue.documents[index], best[index]
        if _belongs(question, document, members, session):
            found.append((document, members[0].evidence))
    return found


def _belongs(question: str, document: Topic, members: list[Member], session: Session) -> bool:
    said = " ".join(member.text for member in members)[:_ITEM_CHARACTERS]
    case = f"Question: {question}\nDocument: {document.title}\nIt says: {said}"
    share = judge(case, "catalogue_mentions", session)
    session.note("judge", f"{document.title}: {share:.0%}")
    return share >= _BELONGS_FROM


def _named(question: str, found: list[tuple[Topic, Evidence]], session: Session) -> list[tuple[str, Evidence]]:
    """For each document the name that the question asks for, if its title holds one; else the title."""
    if _FILE_NAMES.search(question):
        return [(Path(topic.evidence.span.document_id).name, evidence) for topic, evidence in found]
    if not found:
        return []
    numbers = [str(number) for number in range(1, len(found) + 1)]
    schema = {
        "type": "object",
        "properties": {number: {"type": "string", "maxLength": 80} for number in numbers},
        "required": numbers,
        "additionalProperties": False,
    }
    titles = "\n".join(f"[{number}] {_shown(topic)}" for number, (topic, _) in zip(numbers, found, strict=True))
    prompt = Prompt(
        stage="catalogue_names",
        system=load_prompt("catalogue_names"),
        user=f"{titles}\n\nQuestion: {question}",
        schema=schema,
        max_tokens=_NAME_TOKENS * (1 + len(found)),
    )
    reply = session.ask(prompt).data
    named: dict[str, Evidence] = {}
    for number, (topic, evidence) in zip(numbers, found, strict=True):
        name = str(reply[number]).strip()
        named.setdefault(name if find_quote(name, _shown(topic)) else topic.title, evidence)
    return list(named.items())


def _shown(topic: Topic) -> str:
    """A document's title with its file's name, as either may be asked for."""
    return f"{topic.title} ({Path(topic.evidence.span.document_id).name})"


def _nearest(wanted: str, texts: list[str], session: Session) -> list[int]:
    """Indices of the texts, nearest first."""
    if not texts:
        return []
    rows = session.embedder.embed([wanted, *texts])
    similarity = rows[1:] @ rows[0]
    return sorted(range(len(texts)), key=lambda i: -float(similarity[i]))
