"""The version of the client: in its requests, and in the receipts it signs."""

__version__ = "0.1.0"
