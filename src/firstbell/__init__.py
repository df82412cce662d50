"""Firstbell: the working desk of a school attendance officer. Start at docs/architecture.md."""
