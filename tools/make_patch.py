"""Add one diff to a patch: from a file as it is and the same file as edited by hand.

    python tools/make_patch.py PATCH PATH BEFORE AFTER --seen-in "1.2.0 - 1.14.0"

PATCH is the id of a patch whose patch.yaml lists PATH (with ``images: []`` at first), PATH the file
below upstream's top directory, BEFORE and AFTER two files with its contents. Where an earlier
patch of the series changes PATH too, BEFORE is the file with that patch applied. Writes the
diff in its one stable form, and the blob ids into patch.yaml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bertkit.errors import BertkitError
from bertkit.patching import load_series
from bertkit.patching.write import add_image, write_index


def main() -> int:
    """Parse, add, and say what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("patch")
    parser.add_argument("path")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--seen-in", required=True, help="the releases that carry BEFORE")
    parser.add_argument("--patches", type=Path, help="the folder of patches; default bertkit's own")
    options = parser.parse_args()
    try:
        patch = load_series(options.patches)[options.patch]
        image = add_image(
            patch,
            options.path,
            options.before.read_bytes(),
            options.after.read_bytes(),
            seen_in=options.seen_in,
        )
        write_index(patch)
        load_series(options.patches)  # the whole must still be sound
    except KeyError:
        parser.error(f"no patch {options.patch!r} in series.yaml")
    except StopIteration:
        parser.error(f"{options.path} is not one of the files in patch.yaml")
    except BertkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{image.pre[:12]} -> {image.post[:12]}  {image.diff}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
