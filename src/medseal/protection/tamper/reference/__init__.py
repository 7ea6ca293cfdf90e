"""The learned fingerprint of 2 KB, and the network that compares a processed copy with it."""
