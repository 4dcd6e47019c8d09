"""Scores each objective of the first release by running it (`make validate`): a real SecureNet, asked from outside."""
