"""Training runs in the admin. Django looks here: `staff` has the pages."""

from training_runs.staff import assessment_pages, incident_pages, lists, panels, team_pages

__all__ = ["assessment_pages", "incident_pages", "lists", "panels", "team_pages"]
