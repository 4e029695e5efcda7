"""Looking for leaks: of the future or of a target into data, and of records into what is given away."""
