"""`dino`: views of images, without captions and labels."""

from typing import ClassVar, Literal

from clipcause.config import versions
from clipcause.config.objective import LENGTH, Learning
from clipcause.config.runs import ALL
from clipcause.config.train import Train


class Dino(Learning):
    """A run on images alone; of its prototypes some may be drawn at each step."""

    objective: Literal["dino"]

    keys: ClassVar = (*LENGTH, "prototypes")
    title: ClassVar = "DINO"
    learns: ClassVar = "images"
    section: ClassVar = "dino"
    packages: ClassVar = versions.SELF_SUPERVISION

    def check(self, train: Train, where: str) -> None:
        """The section `train` says how such runs learn, and has as many prototypes."""
        if train.dino is None:
            raise ValueError(f"{where}: train.dino is missing: how runs of objective dino learn")
        if self.prototypes != ALL and self.prototypes > train.dino.prototypes:
            raise ValueError(
                f"{where}.prototypes: {self.prototypes} of the {train.dino.prototypes} that "
                "train.dino.prototypes states"
            )
