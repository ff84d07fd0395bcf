"""Makes another labelled fleet of a labelled recording: its clean keys under other names and volumes, robbed by thieves of its own.

    python bench/plant_thefts.py RECORDING SEED OUT

RECORDING holds usage.parquet, keys.json, labels.json, malicious.parquet and meta.json; OUT gets the same five files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from planted.recording import clean, write
from planted.together import planted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    args = parser.parse_args()
    recording, attacks = planted(clean(args.recording), args.seed)
    write(args.out, recording, attacks, seed=args.seed)
    print(f"{args.out}: {len(recording.keys)} keys, {len(attacks)} thefts, {len(recording.benign)} benign events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
