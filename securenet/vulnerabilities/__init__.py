"""Known vulnerabilities: data that the operator imports, and which services of a scan they concern."""
