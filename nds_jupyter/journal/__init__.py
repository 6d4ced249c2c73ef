"""Journal: durable record of jobs and of partial writes to the data root."""

from nds_jupyter.journal.journal import Journal

__all__ = ["Journal"]
