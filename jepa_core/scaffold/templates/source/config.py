"""Keys of the source my_component."""

from pathlib import Path

from pydantic import Field

from jepa_core.config import Input, ItemShape, SourceConfig

EXAMPLE = "example"


class MyComponentConfig(SourceConfig):
    """Temperatures of rooms and their heating, hour by hour, from a CSV file."""

    file: str = Field(
        EXAMPLE,
        min_length=1,
        description="CSV file with the columns room, floor, hour, heating and temperature, the hours of a room "
        "together and in order; `example` is the file that comes with the package",
    )
    seed: int = Field(0, ge=0, description="seed that deals rooms to the splits")

    @property
    def path(self) -> Path:
        return Path(__file__).with_name("example.csv") if self.file == EXAMPLE else Path(self.file).expanduser()

    def inputs(self) -> list[Input]:
        return [Input(self.path, self.path.stat().st_size if self.path.is_file() else None)]

    def missing(self) -> list[str]:
        return [] if self.path.is_file() else [f"the file {self.path} is not there; set `file` to your CSV file"]

    @property
    def subject_noun(self) -> str:
        return "room"

    def item_shape(self) -> ItemShape:
        return ItemShape(channels=3)

    def observations(self) -> dict[str, int]:
        return {"temperature": 1}
