"""The options of `%%ndsjob` that name data: what goes in, and where the results go."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from nds_jupyter.magics.option_groups import CellContext, JobOptions
from nds_jupyter.magics.parser import option


def _fields(options: argparse.Namespace, context: CellContext) -> Mapping[str, Any]:
    del context
    return {
        "data": options.data or None,
        "output": options.output,
        "overwrite": options.overwrite or None,
        "output_on_failure": options.output_on_failure or None,
    }


DATA = JobOptions(
    options=(
        option(
            "--data",
            action="append",
            default=[],
            metavar="PATH[:WHERE]",
            completes="data",
            help="A path of the data root, brought to /data or to the place given; repeatable.",
        ),
        option(
            "--output",
            metavar="PATH",
            completes="data",
            help="Collection of the data root that gets what the script writes under /results.",
        ),
        option(
            "--overwrite", action="store_true", help="Replace what the output's collection holds."
        ),
        option(
            "--output-on-failure",
            action="store_true",
            help="Deliver the results also of a script that fails.",
        ),
    ),
    fields=_fields,
)
