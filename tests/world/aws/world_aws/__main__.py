"""`python -m world_aws --config FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import config, launcher


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="world_aws", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    launcher.serve(config.load(parser.parse_args().config))


main()
