"""From settings to a chat model: embedded, by base URL, or by LangChain's provider string."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from structrag.errors import ConfigError, ModelError
from structrag.models.chat import ChatModel, ReplyCache
from structrag.models.secrets import redacted
from structrag.models.weights import QWEN_CODER, Progress, ensure_weights, ignore_progress

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from structrag.config import ModelSettings

EMBEDDED = "embedded"


def load_chat_model(
    settings: ModelSettings, *, cache: ReplyCache | None = None, progress: Progress = ignore_progress
) -> ChatModel:
    """Return the configured chat model; nothing is loaded or connected before the first reply.

    Args:
        settings: Which model.
        cache: Keeps replies between runs.
        progress: Told how far the embedded model's file is.
    """
    if settings.base_url:
        name = f"{settings.base_url}:{settings.chat}"
    elif settings.chat == EMBEDDED:
        name = f"embedded:{QWEN_CODER.sha256[:16]}"
    else:
        name = settings.chat

    def load() -> BaseChatModel:
        if settings.base_url:
            return _endpoint(settings, settings.base_url, settings.chat, _key(settings))
        if settings.chat == EMBEDDED:
            from structrag.models.server import serve

            weights = ensure_weights(settings.cache, source=settings.weights, progress=progress)
            return _endpoint(settings, serve(weights), EMBEDDED, "none")
        return _provider(settings)

    return ChatModel(
        name,
        load,
        cache=cache,
        concurrency=settings.concurrency,
        retries=settings.retries,
        key_name=settings.api_key_env if settings.base_url else "",
    )


def _endpoint(settings: ModelSettings, base_url: str, model: str, key: str) -> BaseChatModel:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from structrag.models.transport import bounded_client, time_outs

    return ChatOpenAI(
        model=model,
        base_url=base_url,
        api_key=SecretStr(key),
        temperature=0,
        max_retries=0,
        timeout=time_outs(settings.timeout),
        http_client=bounded_client(settings.timeout),
        use_responses_api=False,
        stream_usage=True,
    )


def _provider(settings: ModelSettings) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        model: BaseChatModel = init_chat_model(settings.chat, temperature=0, max_retries=0, timeout=settings.timeout)
    except ImportError as error:
        raise ModelError(
            f"The provider of {settings.chat!r} is not installed: {error}",
            hint="Install the LangChain package that the message names.",
        ) from error
    except Exception as error:
        # A missing key, an unknown provider: each integration raises types of its own while it is set up.
        raise ConfigError(
            f"`models.chat` is {settings.chat!r}, and LangChain cannot make a chat model of it: {redacted(str(error))}",
            hint="Use `embedded`, or `provider:model` such as `openai:gpt-4.1-mini` or `ollama:qwen3`.",
        ) from error
    return model


def _key(settings: ModelSettings) -> str:
    # Local servers want no key, but the client insists on a non-empty one.
    return os.environ.get(settings.api_key_env) or "none"
