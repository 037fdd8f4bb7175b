"""A scripted chat model for tests, ours and yours.

It takes the place of the provider, so that everything of ours runs for real: counting, caching, retries and
schema checks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from structrag.models.chat import ChatModel, ReplyCache


class UnexpectedPromptError(AssertionError):
    """The scripted model was asked something that its script does not cover."""


class ScriptedChatModel(BaseChatModel):
    """Answers each prompt from a script, and fails on one that the script does not cover; streamed, word by word.

    Attributes:
        script: For each fragment of a prompt what to reply: a text, an object (sent as JSON), probabilities
            of the next word (``{"table": 0.7, …}`` where log-likelihoods are asked for), an exception to
            raise, a list of these to use one after the other, or a function of the whole prompt that returns one.
        prompts: All prompts so far, each as one text.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    script: Mapping[str, Any]
    prompts: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._said(messages, kwargs))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """Say the same word by word."""
        whole = self._said(messages, kwargs)
        for word in re.findall(r"\s*\S+\s*|\s+", whole.text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        end = AIMessageChunk(content="", usage_metadata=whole.usage_metadata)
        end.response_metadata = whole.response_metadata
        yield ChatGenerationChunk(message=end)

    def _said(self, messages: list[BaseMessage], options: Mapping[str, Any]) -> AIMessage:
        prompt = "\n".join(str(message.text) for message in messages)
        self.prompts.append(prompt)
        reply = self._next(prompt)
        if isinstance(reply, BaseException):
            raise reply
        metadata: dict[str, Any] = {"finish_reason": "stop"}
        if options.get("logprobs") and isinstance(reply, Mapping):
            ranked = [{"token": t, "logprob": math.log(p)} for t, p in reply.items() if p > 0]
            metadata["logprobs"] = {"content": [{"top_logprobs": ranked}]}
            reply = max(reply, key=lambda token: float(reply[token]))
        text = reply if isinstance(reply, str) else json.dumps(reply)
        used = {"input_tokens": len(prompt.split()), "output_tokens": len(text.split())}
        return AIMessage(
            content=text,
            response_metadata=metadata,
            usage_metadata={**used, "total_tokens": sum(used.values())},
        )

    def _next(self, prompt: str) -> Any:
        for fragment, reply in self.script.items():
            if fragment not in prompt:
                continue
            if isinstance(reply, list):
                if not reply:
                    raise UnexpectedPromptError(f"No replies left for {fragment!r}.")
                reply = reply.pop(0)
            return reply(prompt) if isinstance(reply, Callable) else reply  # type: ignore[arg-type]
        raise UnexpectedPromptError(f"No reply is scripted for this prompt:\n{prompt}")


def scripted(
    script: Mapping[str, Any], *, cache: ReplyCache | None = None, retries: int = 0, name: str = "scripted"
) -> tuple[ChatModel, ScriptedChatModel]:
    """Return a chat model that answers from a script, and the script's model to look at its prompts."""
    model = ScriptedChatModel(script=script)
    return ChatModel(name, lambda: model, cache=cache, retries=retries), model


__all__: Sequence[str] = ("ScriptedChatModel", "UnexpectedPromptError", "scripted")
