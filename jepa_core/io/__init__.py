"""Files: whole or not there; tensors in them; telling how far a pass has come."""
