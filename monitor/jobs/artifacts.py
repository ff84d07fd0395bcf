"""Trained detectors as files: those made here in the state directory, the shipped one for the first hours."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from monitor.detect.artifact import Packed, Trained, pack, unpack
from monitor.errors import ArtifactError
from monitor.jobs import files

log = logging.getLogger(__name__)

SHIPPED = "detector"
KEEP = 5

N_UNPACKED: Final = 3
"""How many detectors stay unpacked: a trial looks at the one at work, the one on trial and the anchor, again and again."""


def save(trained: Trained, folder: Path, *, name: str) -> Path:
    """Writes `<name>.skops`, then `<name>.json` with its checksum: a kill in between leaves no artifact that loads.

    Returns the manifest's path. Raises ArtifactError."""
    packed = pack(trained)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for suffix, data in ((".skops", packed.blob), (".json", packed.manifest)):
            files.put(folder / f"{name}{suffix}", data)
    except OSError as error:
        raise ArtifactError(f"{folder}: the artifact cannot be written ({error}); check space and owner") from error
    return folder / f"{name}.json"


def load(manifest: Path, feature_names: tuple[str, ...]) -> Trained:
    """The artifact named by its manifest. Raises ArtifactError, naming the file and the remedy."""
    try:
        packed = Packed(manifest.with_suffix(".skops").read_bytes(), manifest.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{manifest}: cannot be read ({type(error).__name__}); train again") from error
    try:
        return _unpacked(packed, feature_names)
    except ArtifactError as error:
        raise ArtifactError(f"{manifest}: {error}") from error


@lru_cache(maxsize=N_UNPACKED)
def _unpacked(packed: Packed, feature_names: tuple[str, ...]) -> Trained:
    """The same bytes are the same detector, which nobody changes; to check and to build it takes most of a second of computing."""
    return unpack(packed, feature_names=feature_names)


def name_of(at: datetime) -> str:
    """Sorts by time."""
    return f"detector-{at:%Y%m%dT%H%M%SZ}"


def newest(folder: Path, *, made_until: datetime | None = None) -> Path | None:
    """The newest artifact made here (by then), None if there is none."""
    made = folder.glob("detector-*.json")
    if made_until is None:
        return max(made, default=None)
    return max((path for path in made if path.stem <= name_of(made_until)), default=None)


def prune(folder: Path, *, kept: frozenset[str] = frozenset()) -> None:
    """Keeps the newest few, and those of these names."""
    for manifest in sorted(folder.glob("detector-*.json"))[:-KEEP]:
        if manifest.stem not in kept:
            manifest.unlink(missing_ok=True)
            manifest.with_suffix(".skops").unlink(missing_ok=True)


def choose(
    configured: Path | None, made_here: Path | None, shipped: Path, feature_names: tuple[str, ...]
) -> tuple[Trained | None, str | None]:
    """The detector to start with, and its name: the configured one (errors are raised), else the one made here (None: there is
    none), else the shipped one.

    One that does not load is passed over with a warning: without a detector hard rules still speak."""
    if configured is not None:
        return load(configured, feature_names), configured.stem
    for manifest in (made_here, shipped / f"{SHIPPED}.json"):
        if manifest is None or not manifest.exists():
            continue
        try:
            return load(manifest, feature_names), manifest.stem
        except ArtifactError as error:
            log.warning("artifact_passed_over", extra={"error": str(error)})
    return None, None
