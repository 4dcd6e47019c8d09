"""Tests of the scanning library: pure decisions, and real sockets on loopback."""
