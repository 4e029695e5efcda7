"""One folder of results: what is done in it, and who is told."""
