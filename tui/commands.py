"""The command palette's list of everything that has a key here and now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from structrag.tui.key_help import KeyMeaning, further_meanings, meanings


class ActionCommands(Provider):
    """Offers every action of the screen, of its focused widget and of the application."""

    async def discover(self) -> Hits:
        """Yield all of them, before anything is typed."""
        for meaning, run in self._actions():
            yield DiscoveryHit(meaning.title, run, help=meaning.told)

    async def search(self, query: str) -> Hits:
        """Yield those that fit what is typed."""
        matcher = self.matcher(query)
        for meaning, run in self._actions():
            score = matcher.match(f"{meaning.title} {meaning.told}")
            if score > 0:
                yield Hit(score, matcher.highlight(meaning.title), run, text=meaning.title, help=meaning.told)

    def _actions(self) -> Iterator[tuple[KeyMeaning, IgnoreReturnCallbackType]]:
        for meaning in meanings(self.screen):
            yield meaning, partial(self.app.run_action, meaning.action, meaning.node)
        for meaning in further_meanings(self.screen):
            yield meaning, partial(self._run_beside_typing, meaning)

    async def _run_beside_typing(self, meaning: KeyMeaning) -> None:
        # The screens refuse what they do by letters as long as letters are typed.
        self.screen.set_focus(None)
        await self.app.run_action(meaning.action, meaning.node)
