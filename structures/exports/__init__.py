"""Structures as files: tables and sheets, diagrams, Markdown and JSON, all with their evidence."""
