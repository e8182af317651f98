"""Tools for developers: the test environment, an embedded PostgreSQL, the benchmark. Not part of the portal."""
