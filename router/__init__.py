"""Routers: which knowledge structure a question needs, and how sure that is."""

from structrag.router.chat import ChatRouter
from structrag.router.protocol import FixedRouter, Router, RoutingRequest

__all__ = ["ChatRouter", "FixedRouter", "Router", "RoutingRequest"]
