"""A trained detector as bytes, and back. Never pickle.

Two byte strings: the *blob* (skops format, which builds only types on a list) and the *manifest* (JSON: what it was made
for and from, and the blob's sha256). The checksum is compared before anything of the blob is looked at; then the types
it would build are compared with `TRUSTED`; then what was built is checked node by node, because scikit-learn's trees
follow child numbers without looking at bounds. Callers read and write the files `<name>.skops` and `<name>.json`.

The checksum guards against damage and mix-ups. It is no signature: who can write both files can replace the detector,
so the state directory belongs to the service's user alone.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import sklearn
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from skops.io.exceptions import UntrustedTypesFoundException

from monitor.detect.base import Detector
from monitor.detect.calibrate import Calibration, Cohort
from monitor.detect.contrast import Contrast
from monitor.detect.drift import N_BINS, Profile
from monitor.detect.forest import Forest
from monitor.detect.levels import Levels
from monitor.errors import ArtifactError

FORMAT: Final = 2
TRUSTED: Final = ("sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor")
"""Beyond what skops trusts by itself: the trees' node arrays, whose contents `_check_trees` and `_check_boosted` verify."""

_SCHEMA: Final = "schema.json"
_PLACE: Final = re.compile(rb'(?<="__id__": )[0-9]+|(?<="file": ")[0-9]+')

MAX_BLOB_BYTES: Final = 64 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 512 * 1024 * 1024
"""A blob that grows beyond this is refused before it is unpacked."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an artifact was made for and from. Times are aware UTC; `trained_since` .. `trained_until` is the training window.

    `n_thefts`: simulated thefts it learned from; `thefts_found`: share of them that one look finds at `levels.alpha`, each scored by
    a detector that had not seen the key."""

    format: int
    detector: str
    feature_names: tuple[str, ...]
    versions: dict[str, str]
    trained_since: datetime
    trained_until: datetime
    seed: int
    n_rows: int
    n_keys: int
    n_rows_left_out: int
    max_false_alerts_per_week: float
    clean_incidents_per_week: float
    levels: Levels
    n_thefts: int = 0
    thefts_found: float = 0.0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """A detector ready to judge: what scores, what turns scores into p-values, the levels, and where all came from.
    `profile`: what its training rows looked like; None for artifacts of before there was one."""

    detector: Detector
    calibration: Calibration
    manifest: Manifest
    profile: Profile | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """An artifact as bytes: `blob` for `<name>.skops`, `manifest` for `<name>.json`."""

    blob: bytes
    manifest: bytes


def pack(trained: Trained) -> Packed:
    """The artifact as bytes. Raises ArtifactError for a detector that cannot be kept this way, or is not fitted."""
    detector = trained.detector
    forest = detector.forest_ if isinstance(detector, Contrast) else detector
    if not isinstance(forest, Forest) or forest.forest_ is None:
        raise ArtifactError(f"detector {detector.name!r} cannot be packed: only a fitted forest or contrast can")
    cohorts = [
        {"n_rows": c.n_rows, "knots": c.knots, "n_at_least": c.n_at_least, "tail_scale": c.tail_scale}
        for c in trained.calibration.cohorts
    ]
    parts: dict[str, Any] = {"forest": forest.forest_, "center": forest.center_, "cohorts": cohorts}
    if isinstance(detector, Contrast):
        parts |= {"boosted": detector.boosted_, "columns": detector.columns_}
    if trained.profile is not None:
        parts |= {"edges": trained.profile.edges, "shares": trained.profile.shares}
    blob = _canonical(skops.io.dumps(parts))
    manifest = msgspec.structs.replace(trained.manifest, sha256=hashlib.sha256(blob).hexdigest())
    return Packed(blob, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def _canonical(blob: bytes) -> bytes:
    """The same blob without what differs from run to run: skops names parts by their place in memory, and zip notes the time.

    Parts are numbered in the order in which they are named first, so that the same detector is the same bytes."""
    numbers: dict[bytes, bytes] = {}

    def numbered(place: re.Match[bytes]) -> bytes:
        return numbers.setdefault(place[0], str(len(numbers) + 1).encode())

    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as named, zipfile.ZipFile(packed, "w") as canonical:
        files = {_SCHEMA: _PLACE.sub(numbered, named.read(_SCHEMA))}
        for name in set(named.namelist()) - {_SCHEMA}:
            place, suffix = name.split(".", 1)
            files[f"{numbers[place.encode()].decode()}.{suffix}"] = named.read(name)
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name)  # of 1980, the beginning of zip's time
            canonical.writestr(entry, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


def unpack(packed: Packed, *, feature_names: tuple[str, ...]) -> Trained:
    """The trained detector behind the bytes. Raises ArtifactError, naming what does not fit and what to do."""
    manifest = read_manifest(packed.manifest)
    if hashlib.sha256(packed.blob).hexdigest() != manifest.sha256:
        raise ArtifactError(
            "the artifact's checksum is not the one in its manifest: it was altered or mixed up; train again"
        )
    if manifest.feature_names != feature_names:
        raise ArtifactError("the artifact was made for other features than this version computes; train again")
    if _minor(manifest.versions.get("scikit-learn", "")) != _minor(sklearn.__version__):
        raise ArtifactError(
            f"the artifact was made with scikit-learn {manifest.versions.get('scikit-learn')}, this is {sklearn.__version__}; train again"
        )
    parts = _load(packed.blob)
    try:
        detector, calibration = _rebuild(parts, feature_names)
        profile = _profile(parts, len(feature_names))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(f"the artifact's contents do not fit its format ({error}); train again") from error
    return Trained(detector, calibration, manifest, profile)


def read_manifest(data: bytes) -> Manifest:
    """The manifest alone. Raises ArtifactError if it is no manifest of this format."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArtifactError(f"the artifact's manifest cannot be read ({error}); train again") from error
    if manifest.format != FORMAT:
        raise ArtifactError(f"the artifact has format {manifest.format}, this version reads {FORMAT}; train again")
    return manifest


def versions() -> dict[str, str]:
    """Versions of the libraries an artifact depends on."""
    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "skops": skops.__version__}


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _load(blob: bytes) -> Any:
    if len(blob) > MAX_BLOB_BYTES:
        raise ArtifactError("the artifact is larger than any we write; train again")
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise ArtifactError("the artifact unpacks to more than any we write; train again")
        strange = set(skops.io.get_untrusted_types(data=blob)) - set(TRUSTED)
        if strange:
            raise ArtifactError(f"the artifact wants to build {', '.join(sorted(strange))[:200]}: refused; train again")
        return skops.io.loads(blob, trusted=list(TRUSTED))
    except (UntrustedTypesFoundException, zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError("the artifact's contents cannot be read; train again") from error


def _rebuild(parts: Any, feature_names: tuple[str, ...]) -> tuple[Detector, Calibration]:
    forest, center = parts["forest"], np.asarray(parts["center"], dtype=np.float64)
    if not isinstance(forest, IsolationForest) or center.shape != (len(feature_names),):
        raise ValueError("no isolation forest of these features")
    _check_trees(forest, n_features=len(feature_names))
    cohorts = tuple(
        Cohort(
            int(part["n_rows"]),
            np.asarray(part["knots"], dtype=np.float64),
            np.asarray(part["n_at_least"], dtype=np.int64),
            float(part["tail_scale"]),
        )
        for part in parts["cohorts"]
    )
    if not cohorts or any(len(c.knots) == 0 or len(c.knots) != len(c.n_at_least) for c in cohorts):
        raise ValueError("calibration without scores")
    restored = Forest.restored(feature_names, forest, center)
    if "boosted" not in parts:
        return restored, Calibration(cohorts)
    boosted, columns = parts["boosted"], np.asarray(parts["columns"], dtype=np.int64)
    if ((columns < 0) | (columns >= len(feature_names))).any() or not isinstance(
        boosted, HistGradientBoostingClassifier
    ):
        raise ValueError("no boosted trees of these features")
    _check_boosted(boosted, n_features=len(columns) + 1)
    return Contrast.restored(feature_names, restored, boosted, columns=columns), Calibration(cohorts)


def _profile(parts: Any, n_features: int) -> Profile | None:
    if "edges" not in parts:
        return None
    edges, shares = (np.asarray(parts[name], dtype=np.float64) for name in ("edges", "shares"))
    if edges.shape != (n_features, N_BINS - 1) or shares.shape != (n_features, N_BINS + 1):
        raise ValueError("a profile of other features")
    return Profile(edges, shares)


def _check_boosted(boosted: HistGradientBoostingClassifier, *, n_features: int) -> None:
    """As `_check_trees`, for the node tables of boosted trees; none of ours has categories."""
    if boosted.n_features_in_ != n_features or boosted.n_trees_per_iteration_ != 1:
        raise ValueError("boosted trees of other features")
    for (predictor,) in boosted._predictors:
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        children = np.stack([nodes["left"][inner], nodes["right"][inner]]).astype(np.int64)
        if len(nodes) == 0 or (children <= np.flatnonzero(inner)).any() or (children >= len(nodes)).any():
            raise ValueError("a boosted tree's children lie outside of it")
        split = nodes["feature_idx"][inner]
        if ((split < 0) | (split >= n_features)).any() or nodes["is_categorical"].any():
            raise ValueError("a boosted tree splits on a feature that does not exist")


def _check_trees(forest: IsolationForest, *, n_features: int) -> None:
    """Every child lies behind its parent and inside the tree, every feature exists: no walk can leave the arrays."""
    for estimator, features in zip(forest.estimators_, forest.estimators_features_, strict=True):
        tree = estimator.tree_
        n = tree.node_count
        left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
        parent = np.arange(n)
        inner = left != -1
        if (
            len(left) != n
            or tree.n_features != n_features
            or not np.array_equal(np.asarray(features), np.arange(n_features))
        ):
            raise ValueError("a tree has other features")
        if (right[~inner] != -1).any() or (left[inner] <= parent[inner]).any() or (right[inner] <= parent[inner]).any():
            raise ValueError("a tree's children do not follow their parent")
        if (left >= n).any() or (right >= n).any():
            raise ValueError("a tree's children lie outside of it")
        split = np.asarray(tree.feature)[inner]
        if ((split < 0) | (split >= n_features)).any():
            raise ValueError("a tree splits on a feature that does not exist")
