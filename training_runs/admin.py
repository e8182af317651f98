"""Training runs in the admin. Django looks here: `staff` has the pages."""

from training_runs.staff import lists, panels, team_pages

__all__ = ["lists", "panels", "team_pages"]
