"""Language models behind one small client. Importing this loads no model library; the first call does."""

from rowel.nodes.clients.llm.client import ModelClient

__all__ = ["ModelClient"]
