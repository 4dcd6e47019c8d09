"""Free TCP ports on loopback."""

import socket


def free_port() -> int:
    """Return a port nobody listens on now. Another process may take it before you do: use it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
