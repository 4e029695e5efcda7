"""Files: whole or not there; tensors and tables in them; telling how far a pass has come."""
