"""A trained model in the hands of a user: loading it from a run's folder, reading new data as the run did, latents,
forecasts, predictions. Imports no training loop and no recipe."""
