"""The version, apart from the package's hooks so that every module may name it."""

__version__ = "0.1.0"
