"""One line on what is going on."""

from __future__ import annotations

import time

from textual.widgets import Static

from structrag.tui.requests import SettingsInForce
from structrag.usage import ModelCall, Prices


class Status(Static):
    """Says what is going on; while something is, with the seconds, calls, tokens and cost that it has taken so far."""

    def __init__(self) -> None:
        super().__init__(id="status", markup=False)
        self._text = ""
        self._started: float | None = None
        self._calls = self._tokens = 0
        self._cost = 0.0
        self._prices = Prices()

    def on_mount(self) -> None:
        """Start the clock that keeps the seconds up to date; it rests while nothing is going on."""
        self._clock = self.set_interval(1, self._show, pause=True)
        self.watch(self.app, "in_force", self._know_prices)

    def _know_prices(self, in_force: SettingsInForce) -> None:
        self._prices = in_force.prices

    def say(self, text: str) -> None:
        """Show this line; the seconds run on if they do."""
        self._text = text
        self._show()

    def start(self, text: str) -> None:
        """Show this line and count from now."""
        self._started = time.monotonic()
        self._calls = self._tokens = 0
        self._cost = 0.0
        self._clock.reset()
        self._clock.resume()
        self.say(text)

    def count(self, call: ModelCall) -> None:
        """Count a call of the model; one that was answered from the cache costs nothing."""
        if not call.cached:
            self._calls += 1
            self._tokens += call.prompt_tokens + call.completion_tokens
            self._cost += self._prices.cost(call.prompt_tokens, call.completion_tokens)
            self._show()

    def finish(self, text: str) -> None:
        """Show this line and stop counting."""
        self._started = None
        self._clock.pause()
        self.say(text)

    def _show(self) -> None:
        # Before the text, which may be longer than the line.
        self.update(" · ".join([*self.spent, self._text]))

    @property
    def spent(self) -> list[str]:
        """What has been spent so far, in words; nothing where nothing is going on."""
        if self._started is None:
            return []
        seconds = int(time.monotonic() - self._started)
        spent = [f"{seconds} s"] if seconds else []
        if self._calls:
            spent += [f"{self._calls} call{'s' if self._calls > 1 else ''}", f"{self._tokens:,} tokens"]
        spent += [f"cost {self._cost:,.4f}"] if self._cost else []
        return spent
