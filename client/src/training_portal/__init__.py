"""From permission to use personal data for training to a clean, proved data set."""

from typing import TYPE_CHECKING, Any

from training_portal.version import __version__

if TYPE_CHECKING:
    from training_portal.permission import Permission
    from training_portal.runs import Portal, TrainingRun

__all__ = ["Permission", "Portal", "TrainingRun", "__version__"]

_PLACES = {"Permission": "permission", "Portal": "runs", "TrainingRun": "runs"}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `training-portal --help` needs none of it.
    if name not in _PLACES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"training_portal.{_PLACES[name]}"), name)
