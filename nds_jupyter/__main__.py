"""``python -m nds_jupyter``: the same words in a terminal."""

from __future__ import annotations

import sys

from nds_jupyter.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
