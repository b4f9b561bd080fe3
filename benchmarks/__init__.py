"""Speed and accuracy against named peers, each script run as a module from the root of the repository."""
