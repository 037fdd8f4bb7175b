"""Every error that StructRAG raises on purpose.

    StructRAGError
    ├── ConfigError                 a setting or argument is wrong                 exit 2
    ├── MissingExtraError           an optional package is not installed           exit 2
    ├── DocumentError               a document cannot be read                      exit 2
    │   └── UnsupportedDocumentError
    ├── StoreError                  the corpus folder cannot be used               exit 2
    │   ├── CorpusInUseError        another process is writing to it
    │   └── IndexMismatchError      the index was made by another embedder
    ├── TrainingDataError           a preference file is wrong                     exit 2
    ├── ModelError                  a chat model or its weights failed             exit 3
    │   ├── TransientModelError     worth retrying: time-outs, 429, 5xx (the only type retried)
    │   ├── ModelOutputError        the reply does not fit what was asked
    │   └── BudgetExceededError     the budget of this question is spent
    ├── RoutingError                no route could be made                         exit 3
    └── BuildError                  no structure could be built                    exit 4

Misuse of the Python API stays ``ValueError`` and ``TypeError``.
"""

from __future__ import annotations


class StructRAGError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What happened, to which object.
        hint: What to do next, as one sentence; shown on a line of its own.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(StructRAGError):
    """A setting, flag or argument is wrong."""

    exit_code = 2


class MissingExtraError(StructRAGError, ImportError):
    """An optional package is needed and not installed.

    Args:
        package: The import name that is missing.
        extra: The StructRAG extra that brings it.
        purpose: What it was needed for, as a noun phrase.
    """

    exit_code = 2

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed.",
            hint=f"Install it with: pip install 'structrag[{extra}]'",
        )


class DocumentError(StructRAGError):
    """A document cannot be read."""

    exit_code = 2


class UnsupportedDocumentError(DocumentError):
    """No loader reads this kind of file."""


class StoreError(StructRAGError):
    """The corpus folder cannot be read or written."""

    exit_code = 2


class CorpusInUseError(StoreError):
    """Another process is writing to the corpus; the message says which, doing what and since when."""


class IndexMismatchError(StoreError):
    """The index was made by another embedder or by another version."""


class TrainingDataError(StructRAGError):
    """A preference file is wrong; the message names the file and the row."""

    exit_code = 2


class ModelError(StructRAGError):
    """A chat model, an embedder or their weights failed."""

    exit_code = 3


class TransientModelError(ModelError):
    """A fault that may pass: time-out, too many requests, server error. The only type retried.

    Args:
        message: What happened.
        hint: What to do next.
        retry_after: Seconds that the server asked to wait; 0 if it did not say.
    """

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelOutputError(ModelError):
    """The model's reply does not fit what was asked, also after it was asked again.

    Args:
        message: What is wrong with the reply.
        reply: The reply as it came.
        hint: What to do next; what helps against most such replies by default.
    """

    def __init__(
        self, message: str, *, reply: str, hint: str | None = "Ask in other words, or use a larger model."
    ) -> None:
        super().__init__(message, hint=hint)
        self.reply = reply


class BudgetExceededError(ModelError):
    """The budget of calls, tokens or seconds is spent."""


class RoutingError(StructRAGError):
    """No route could be made."""

    exit_code = 3


class BuildError(StructRAGError):
    """No structure could be built from the documents."""

    exit_code = 4
