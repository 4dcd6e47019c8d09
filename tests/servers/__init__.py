"""Real servers for the tests: each private to its caller, on a socket or free port, gone when the test process is."""
