"""Load and warm up networks, so that what their engines build is cached before the first start."""

from __future__ import annotations

import argparse
import sys
import time

from perception.configuration import ConfigurationError
from perception.runtime.engine import load_engine


def main() -> int:
    """Warm up every bundle on the command line."""
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    for bundle in arguments.bundles:
        started_s = time.monotonic()
        try:
            engine = load_engine(bundle, arguments.device)
        except ConfigurationError as error:
            print(f"build: {error}", file=sys.stderr)
            return 2
        engine.warm_up()
        engine.close()
        print(f"{engine.description.name} is ready on {arguments.device} ({time.monotonic() - started_s:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
