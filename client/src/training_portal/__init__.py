"""From permission to use personal data for training to a clean, proved data set."""

from training_portal.version import __version__

__all__ = ["__version__"]
