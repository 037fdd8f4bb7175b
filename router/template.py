"""The text that a policy reads: the question and what the documents are about. One template trains and serves."""

from __future__ import annotations

import re
from collections.abc import Callable

from structrag.router.protocol import RoutingRequest
from structrag.types import DocumentProfile

VERSION = 2
"""Stands in every artefact; one made for another template is refused."""
MAX_TOKENS = 508
"""Longer prompts are cut: the encoder takes 512 with a label."""
_QUESTION_CHARACTERS = 900
_QUESTION_CHARACTERS_IN_DENSE_SCRIPTS = (360, 120)
"""Where every character is a token, as in Chinese, or up to three, as in Korean."""
_TITLE_CHARACTERS = 36
MOST_DOCUMENTS = 3
"""Of more documents only the first are described."""
_NOTABLE_SHARE = 0.15
# A tokenizer would take these words in a question for its own marks.
_MARK = re.compile(r"\[+(CLS|SEP|MASK|PAD|UNK|unused\d+)\]+", re.IGNORECASE)


def fitted(request: RoutingRequest, tokens: Callable[[str], int]) -> str:
    """Return the prompt for a request, with less of the question where it would be longer than `MAX_TOKENS`.

    A trainer would cut a longer one at its end, where the label stands.

    Args:
        request: The request.
        tokens: Counts a prompt's tokens.
    """
    for longest in (_QUESTION_CHARACTERS, *_QUESTION_CHARACTERS_IN_DENSE_SCRIPTS):
        prompt = render(request, longest)
        if tokens(prompt) <= MAX_TOKENS:
            return prompt
    return render(RoutingRequest(request.question), longest)


def render(request: RoutingRequest, longest: int = _QUESTION_CHARACTERS) -> str:
    """Return the prompt for a request: the question, then the documents' titles and shapes, if there are any.

    Args:
        request: The request.
        longest: A question of more characters is cut.
    """
    prompt = f"[CLS]{_shortened(_plain(request.question), longest)}[SEP]"
    if request.documents:
        prompt += f"{'; '.join(described(d) for d in request.documents[:MOST_DOCUMENTS])}[SEP]"
    return prompt


def render_plain(request: RoutingRequest) -> str:
    """Return the prompt for a causal language model, whose reply begins after the colon."""
    lines = [f"Question: {_shortened(_plain(request.question), _QUESTION_CHARACTERS)}"]
    if request.documents:
        lines.append(f"Documents: {'; '.join(described(d) for d in request.documents[:MOST_DOCUMENTS])}")
    return "\n".join([*lines, "Structure:"])


def _shortened(question: str, longest: int) -> str:
    """Cut in the middle: what is asked stands at the start or at the end."""
    if len(question) <= longest:
        return question
    half = longest // 2
    return f"{question[:half]} … {question[-half:]}"


def described(document: DocumentProfile) -> str:
    """Return a document's title, cut, and what shapes its text."""
    shares = {"rows": document.table_share, "headings": document.heading_share, "steps": document.step_share}
    shapes = [name for name, share in shares.items() if share >= _NOTABLE_SHARE]
    title = _plain(document.title)[:_TITLE_CHARACTERS]
    return f"{title} ({', '.join(shapes) or 'prose'})"


def _plain(text: str) -> str:
    return _MARK.sub(r"\1", " ".join(text.split()))
