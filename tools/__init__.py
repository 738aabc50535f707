"""What make starts: installing, saying how far something is, and trying the project on bare systems."""
