"""Trajectories: on disk, in memory, rendered, in windows."""
