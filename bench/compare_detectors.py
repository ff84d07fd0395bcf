"""Our detector and six references on a recording with labelled thefts: the tables of docs/detection.md, from one command.

    python bench/compare_detectors.py RECORDING [--also RECORDING ...] [--seeds 0 1 2] [--only PATTERN] [--jobs 2] [--out DIR]

RECORDING holds usage.parquet, keys.json, labels.json, malicious.parquet and meta.json; its scorer, score.py, lies in the folder
above. Writes detect.md, detect.json and the decisions of each run to DIR. Exit 2 where there is nothing to compare on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic

from detect import anomstack, scorer, tables
from detect.run import OURS, run_all
from detect.variants import AS_SHIPPED

OUT = Path(__file__).resolve().parent / "out"


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        judge = scorer.load(args.recording)
        for folder in args.also:
            scorer.found(folder)
    except scorer.NoLabels as error:
        print(f"nothing to compare on: {error}", file=sys.stderr)
        return 2
    if not anomstack.is_installed():
        print("PyOD is not installed (requirements/bench.lock): its row is left out", file=sys.stderr)
    begin = monotonic()
    runs = run_all(
        args.recording, args.also, seeds=args.seeds, only=args.only, out=args.out, jobs=args.jobs, told=_progress
    )
    shipped = [run for run in runs if run.how == OURS and run.name == AS_SHIPPED and run.folder == args.recording]
    if shipped:
        one = min(shipped, key=lambda run: run.seed)
        print(f"The scorer's table, seed {one.seed}\n")
        print(_printable(judge.table(scorer.summary(judge, [one.judged]))), end="\n\n")
    text = tables.report(judge, runs, args.recording)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "detect.md").write_text(text, encoding="utf-8")
    (args.out / "detect.json").write_text(json.dumps(tables.as_json(judge, runs), indent=1), encoding="utf-8")
    print(f"{args.out}: detect.md, detect.json, decisions; {timedelta(seconds=round(monotonic() - begin))} in all")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="further recordings, counted together")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the shipped detector")
    parser.add_argument("--only", default="", help="regular expression searched in the names of detectors")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once; each takes about a gigabyte")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """Names of keys come from outside: what is no printable sign is dropped."""
    return "\n".join("".join(sign for sign in line if sign.isprintable()) for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
