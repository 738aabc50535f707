"""Measurements of speed, each run by one command: see ``docs/performance.md``."""
