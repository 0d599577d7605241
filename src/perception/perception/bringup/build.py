"""Load, warm up and check networks, so that what their engines build is cached before the first start."""

from __future__ import annotations

import argparse
import sys
import time

from perception.configuration import ConfigurationError
from perception.runtime import start_engine


def main() -> int:
    """Build what the bundles on the command line need; 2 with one sentence when one does not work here."""
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    for bundle in arguments.bundles:
        started_s = time.monotonic()
        try:
            engine = start_engine(bundle, arguments.device)
        except Exception as error:
            problem = f"{bundle}: does not run on {arguments.device}: {type(error).__name__}: {error}"
            print(f"build: {error if isinstance(error, ConfigurationError) else problem}", file=sys.stderr)
            return 2
        engine.close()
        print(f"{engine.description.name} is ready on {arguments.device} ({time.monotonic() - started_s:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
