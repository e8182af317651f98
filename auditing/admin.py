"""Everything of this app in the admin registers on the portal's site."""

from auditing import proof_admin  # noqa: F401  registering is the effect
