"""Members, decisions, rules and notices in the admin. Django looks here: `staff` has the pages."""

from consent.staff import lists, panels

__all__ = ["lists", "panels"]
