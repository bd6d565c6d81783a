"""The version, in the one place that the package, the build and the wire read it from."""

__version__ = "1.0.0"
"""The version of this package, by the rules of semantic versioning."""
