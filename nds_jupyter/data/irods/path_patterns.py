"""Paths that may be patterns: what is there means itself, only what is not there is a pattern.

fsspec takes every path with ``*``, ``?`` or ``[`` for a pattern, so that ``rm`` of an object called
``a[1].csv`` would remove ``a1.csv``.
"""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.local import LocalFileSystem, make_path_posix
from fsspec.utils import other_paths


def pattern_of(path: str, exists: Callable[[str], bool]) -> str | None:
    """Return the pattern that a path is, or None if it means itself.

    Collections on its way that are there mean themselves too.
    """
    if not glob.has_magic(path) or exists(path):
        return None
    parts = path.split("/")
    literal = list(parts)
    for number, part in enumerate(parts):
        if glob.has_magic(part):
            if not exists("/".join(parts[: number + 1])):
                break
            literal[number] = glob.escape(part)
    return "/".join(literal)


class LiteralPaths(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Filesystem whose paths, and those of local files, are patterns only if nothing is there."""

    def is_pattern(self, path: str) -> bool:
        """Whether a path is a pattern, since nothing of that name is there."""
        return glob.has_magic(path) and not self.exists(self._strip_protocol(path))

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Return the paths that paths, patterns and, if `recursive`, trees stand for.

        Parameters
        ----------
        assume_literal
            Whether no path is a pattern, even if nothing is there.
        """
        found: set[str] = set()
        for each in [path] if isinstance(path, str | os.PathLike) else path:
            literal = self._strip_protocol(each)
            pattern = None if assume_literal else pattern_of(literal, self.exists)
            try:
                found |= set(
                    super().expand_path(
                        [pattern or literal],
                        recursive,
                        maxdepth,
                        assume_literal=pattern is None,
                        **kwargs,
                    )
                )
            except FileNotFoundError:
                continue
        if not found:
            raise FileNotFoundError(errno.ENOENT, f"There is no {path}, or it is not shared")
        return sorted(found)

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy within the filesystem."""
        if self._is_literal(path1) and isinstance(path2, str):
            into = path2.endswith("/") or self.isdir(path2)
            path1, path2 = self._pairs(self, path1, path2, recursive, maxdepth, into=into)
            on_error = on_error or ("ignore" if recursive else None)
            recursive, maxdepth = False, None
        super().copy(path1, path2, recursive, maxdepth, on_error, **kwargs)

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Download to local files."""
        if self._is_literal(rpath) and isinstance(lpath, str):
            target = make_path_posix(lpath)
            into = lpath.endswith("/") or Path(target).is_dir()
            rpath, lpath = self._pairs(self, rpath, target, recursive, maxdepth, into=into)
        super().get(rpath, lpath, recursive, callback, maxdepth, **kwargs)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Upload local files."""
        local = LocalFileSystem()
        if isinstance(lpath, str):
            lpath = make_path_posix(lpath)
            if glob.has_magic(lpath) and os.path.lexists(lpath) and isinstance(rpath, str):
                into = rpath.endswith("/") or self.isdir(rpath)
                target = self._strip_protocol(rpath)
                lpath, rpath = self._pairs(local, lpath, target, recursive, maxdepth, into=into)
            else:
                lpath = pattern_of(lpath, os.path.lexists) or lpath
        elif isinstance(rpath, str):
            lpath = sorted(_expand_local(local, lpath, recursive, maxdepth))
            rpath = other_paths(lpath, self._strip_protocol(rpath), flatten=True)
        super().put(lpath, rpath, recursive, callback, maxdepth, **kwargs)

    def _is_literal(self, path: Any) -> bool:
        """Whether a path is no pattern though fsspec takes it for one."""
        return isinstance(path, str) and glob.has_magic(path) and not self.is_pattern(path)

    def _pairs(
        self,
        source_fs: AbstractFileSystem,
        source: str,
        target: str,
        recursive: bool,
        maxdepth: int | None,
        *,
        into: bool,
    ) -> tuple[list[str], list[str]]:
        """Return sources and targets of a path that means itself, as fsspec would without ``[``."""
        sources = source_fs.expand_path(
            [source], recursive=recursive, maxdepth=maxdepth, assume_literal=True
        )
        if not recursive or maxdepth is not None:
            sources = [each for each in sources if not source_fs.isdir(each)]
        if not sources:
            return [], []
        into = into and not source.endswith("/")
        return sources, other_paths(sources, target, exists=into)


def _expand_local(
    local: LocalFileSystem, paths: Iterable[Any], recursive: bool, maxdepth: int | None
) -> set[str]:
    found: set[str] = set()
    for each in paths:
        path = make_path_posix(os.fspath(each))
        pattern = pattern_of(path, os.path.lexists)
        found |= set(
            local.expand_path(
                [pattern or path],
                recursive=recursive,
                maxdepth=maxdepth,
                assume_literal=pattern is None,
            )
        )
    return found
