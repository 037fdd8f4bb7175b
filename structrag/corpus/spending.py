"""What all questions of a corpus have cost so far, in whatever process they were asked."""

from __future__ import annotations

from structrag.corpus.database import Database
from structrag.usage import Usage


class Spending:
    """One row that only grows. Threads and processes may add to it at once.

    Args:
        database: The corpus's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: Usage) -> None:
        """Add calls, tokens, the model's seconds and the cost.

        Raises:
            StoreError: The corpus cannot be written.
        """
        self._database.change(
            """INSERT INTO spent VALUES (0, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
                calls = calls + excluded.calls, prompt_tokens = prompt_tokens + excluded.prompt_tokens,
                completion_tokens = completion_tokens + excluded.completion_tokens,
                seconds = seconds + excluded.seconds, cost = cost + excluded.cost""",
            [usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.model_seconds, usage.cost],
        )

    def total(self) -> Usage:
        """Return all that was added; ``seconds`` are those that the model took.

        Raises:
            StoreError: The corpus cannot be read.
        """
        row = self._database.row("SELECT calls, prompt_tokens, completion_tokens, seconds, cost FROM spent")
        calls, prompt, completion, seconds, cost = row or (0, 0, 0, 0.0, 0.0)
        return Usage(
            calls=calls,
            prompt_tokens=prompt,
            completion_tokens=completion,
            seconds=seconds,
            model_seconds=seconds,
            cost=cost,
        )
