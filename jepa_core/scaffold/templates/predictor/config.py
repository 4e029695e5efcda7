"""Keys of the predictor my_component."""

from pydantic import Field

from jepa_core.config import ModelSize, PredictorConfig


class MyComponentConfig(PredictorConfig):
    """A recurrent cell that starts from the static facts and reads states and actions."""

    width: int = Field(32, gt=0, description="size of the hidden state")

    def belief_dim(self, latent_dim: int) -> int:
        """The hidden state, which the next state is read from."""
        return self.width

    def size(self, latent_dim: int) -> ModelSize:
        """Parameters of the cell and of the two linear maps; all of them train."""
        cell = 3 * self.width * (2 * latent_dim + self.width + 2)
        maps = (latent_dim + 1) * self.width + (self.width + 1) * latent_dim
        return ModelSize(parameters=cell + maps, trainable=cell + maps)

    def activation_bytes(self, windows: int, steps: int, latent_dim: int) -> int:
        """What a pass keeps of every step, in float32."""
        return 4 * windows * steps * (7 * self.width + 3 * latent_dim)
