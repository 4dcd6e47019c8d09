"""Endurance (`make soak`): a million requests of mixed traffic, and what memory, files and connections do meanwhile."""
