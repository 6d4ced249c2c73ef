"""Lets what checks an end say what it found, as an assertion of a test does."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.runner.allowed_ends")
