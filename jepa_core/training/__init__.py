"""The learner, and the loop that trains it."""
