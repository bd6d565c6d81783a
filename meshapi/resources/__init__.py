"""One file or folder per endpoint: its models, its calls, its two classes."""
