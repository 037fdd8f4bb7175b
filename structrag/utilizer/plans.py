"""Plans as nested calls: ``chair_of(owner_of("Tilden Ferry"))``, which a small coder model writes in one short line.

The idea of having the model write a program that code runs is that of "Program of Thoughts" (Chen et al. 2022,
arXiv 2211.12588); here nothing of the program is run but calls that the reasoner knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.quotes import support
from structrag.utilizer.reading import load_examples, load_prompt

_PLAN_TOKENS = 120
_DEEPEST = 6
_FROM_QUESTION = 0.5
"""Share of a thing's words that must stand in the question: what is made up is no plan."""
RELATION_FIRST = frozenset({"common", "chain", "reach"})
"""Calls whose first argument says how, and may say it in other words than the question."""
_TOKEN = re.compile(r"\"([^\"]*)\"?|([(),])|([^\"(),]+)")


@dataclass(frozen=True, slots=True)
class Call:
    """One step of a plan.

    Attributes:
        name: What to do, in words.
        arguments: What to do it with: things by their names, or the results of other calls.
    """

    name: str
    arguments: tuple[Call | str, ...]

    @property
    def extra(self) -> str:
        """What narrows the call down: its further arguments, as far as they are given in words."""
        return " ".join(argument for argument in self.arguments[1:] if isinstance(argument, str))

    @property
    def in_words(self) -> str:
        """What the call says of its first argument."""
        return f"{self.name} {self.extra}".strip()

    def __str__(self) -> str:
        """Return the call as it is written in a plan."""
        inner = ", ".join(f'"{a}"' if isinstance(a, str) else str(a) for a in self.arguments)
        return f"{self.name.replace(' ', '_')}({inner})"


def plan(question: str, name: str, session: Session) -> Call | None:
    """Return the plan that the model writes for a question, or ``None`` where it writes none that can be followed.

    Args:
        question: What is asked.
        name: The prompt file that explains the calls; its examples stand beside it.
        session: The question's session.

    Raises:
        ModelError: The model does not answer.
    """
    prompt = Prompt(
        stage=name.replace("_", ".", 1),
        system=load_prompt(name),
        user=f"Question: {question}",
        max_tokens=_PLAN_TOKENS,
        examples=load_examples(name),
    )
    text = session.ask(prompt).text.strip()
    parsed = parse_plan(text.splitlines()[0] if text else "")
    if parsed is not None and all(support(thing, question) >= _FROM_QUESTION for thing in things(parsed)):
        session.note("plan", str(parsed))
        return parsed
    session.note("plan", f"none that can be followed: {text[:200]}")
    return None


def parse_plan(text: str) -> Call | None:
    """Return the call that a line writes; missing closing brackets are forgiven, as small models lose count.

    Returns:
        ``None`` if the line is no call, or calls stand in each other more than six deep.
    """
    tokens = [(m[1] is not None, (m[1] if m[1] is not None else m[2] or m[3]).strip()) for m in _TOKEN.finditer(text)]
    tokens = [(is_quoted, token) for is_quoted, token in tokens if token]
    found, _ = _expression(tokens, 0, 1)
    return found if isinstance(found, Call) else None


def things(call: Call) -> Iterator[str]:
    """Yield what a plan names, innermost calls included; the relation that a walk follows is no thing."""
    for argument in call.arguments[call.name in RELATION_FIRST :]:
        if isinstance(argument, str):
            yield argument
        else:
            yield from things(argument)


def _expression(tokens: list[tuple[bool, str]], at: int, depth: int) -> tuple[Call | str | None, int]:
    """Read one expression; return it and where what follows it begins."""
    if at >= len(tokens) or depth > _DEEPEST:
        return None, len(tokens)
    is_quoted, token = tokens[at]
    if not is_quoted and token in ("(", ")", ","):
        return None, at + 1
    words = token if is_quoted else " ".join(token.replace("_", " ").split())
    if not words:
        return None, len(tokens)
    if is_quoted or at + 1 >= len(tokens) or tokens[at + 1] != (False, "("):
        return words, at + 1
    at += 2
    arguments: list[Call | str] = []
    while at < len(tokens) and tokens[at] != (False, ")"):
        if tokens[at] == (False, ","):
            at += 1
            continue
        argument, at = _expression(tokens, at, depth + 1)
        if argument is None:
            return None, len(tokens)
        arguments.append(argument)
    return (Call(words, tuple(arguments)) if arguments else words), at + 1
