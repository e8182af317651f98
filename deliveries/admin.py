"""The use of data in the admin. Django looks here: `staff` has the pages."""

from deliveries.staff import lists, panels

__all__ = ["lists", "panels"]
