"""The durable record of every job, and of what is being written in the data root."""

from nds_jupyter.journal.core import Journal

__all__ = ["Journal"]
