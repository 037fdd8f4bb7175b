"""The theme for those who need strong contrasts; light and dark ones come with Textual."""

from __future__ import annotations

from textual.theme import Theme

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#00ffff",
    warning="#ffff00",
    error="#ff8080",
    success="#80ff80",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    boost="#1a1a1a",
    dark=True,
    text_alpha=1.0,
    variables={
        # What is muted elsewhere is read like everything else here.
        "text-muted": "#ffffff",
        "text-disabled": "#d0d0d0",
        "border": "#ffffff",
        "border-blurred": "#ffffff",
        "surface-lighten-2": "#ffffff",
        "footer-key-foreground": "#ffff00",
        "input-selection-background": "#00ffff 40%",
    },
)
