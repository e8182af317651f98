"""The version of the portal: shown in the footer of the admin and in `/readyz`."""

__version__ = "0.1.0.dev0"
