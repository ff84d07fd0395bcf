"""The detector a replay of the store judges with: the one the service would have had at that time."""

from __future__ import annotations

from pathlib import Path

from monitor.backtest.recording import Recording
from monitor.backtest.stored import StoreRecording
from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.errors import ArtifactError
from monitor.features import NAMES
from monitor.jobs import artifacts, training
from monitor.jobs.progress import Progress


def configured(recording: Recording, settings: Settings) -> tuple[Trained | None, str]:
    """The detector that the settings name, and what it is in words; None where they name none. Raises ArtifactError.

    One that has seen in training what it now judges knows more than one can know in life: then the words say so."""
    path = settings.detection.artifact
    if path is None:
        return None, ""
    trained = artifacts.load(path, NAMES)
    has_seen = trained.manifest.trained_until > recording.evaluate_from
    return trained, f"the configured {path.name}{', which has seen part of these days in training' if has_seen else ''}"


def of_that_time(
    recording: StoreRecording, settings: Settings, *, shipped: Path, seed: int, progress: Progress | None = None
) -> tuple[Trained | None, str]:
    """The detector, and what it is in words. Nothing it was made from is later than the first decision.

    The configured one, if there is one. Else what training would have made of the history before the first decision: the
    way of the service, in whole hours. Where that is too short, the newest made here before that time, or the shipped one.
    Raises ArtifactError (configured artifact only), StoreError."""
    named = configured(recording, settings)
    if named[0] is not None:
        return named
    turn = recording.evaluate_from
    try:
        trained = training.learned(
            settings, recording.store, until=turn, incidents=None, seed=seed, progress=progress
        ).trained
    except ArtifactError as error:
        folder = settings.store.state_dir / "artifacts"
        made_here = artifacts.newest(folder, made_until=turn)
        known, _ = artifacts.choose(None, made_here, shipped, NAMES)
        said = "none, hard rules only" if known is None else "the shipped one" if made_here is None else made_here.stem
        return known, f"{said}, as the service has it then: before {turn:%Y-%m-%d %H:%M} UTC, {error}"
    return trained, described(trained)


def described(trained: Trained | None) -> str:
    """A detector trained on the history before the first decision, in words."""
    if trained is None:
        return "none, hard rules only: the history before is too short to train on"
    manifest = trained.manifest
    until = f"{manifest.trained_until:%Y-%m-%d %H:%M} UTC"
    return f"{manifest.detector}, trained on {manifest.n_keys} keys up to {until}"
