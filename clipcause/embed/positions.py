"""An image tower that takes images of a second, smaller size.

Towers of convolutions do by themselves. Those of open_clip's that add a position to every patch
have positions for one size of image; for the other one they are interpolated between, as DINO does
(Caron et al. 2021, released code): linearly in the positions, hence a matrix product, which is
deterministic on a GPU.
"""

import copy
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

ONE = (1, 1)
# of open_clip's transformer and of its residual networks; a class token's or the mean's is first
POSITIONS = ("positional_embedding", "attnpool.positional_embedding")


class Tower(nn.Module):
    """``visual`` of an open_clip model, for images of its own size and of ``small`` pixels a side.

    Raises ``ValueError`` where it cannot take the small ones.
    """

    def __init__(self, visual: Any, small: int) -> None:
        super().__init__()
        self.visual = visual
        self._side = _side(visual.image_size)
        self._small = small
        known = dict(visual.named_parameters())
        self._name = next((name for name in POSITIONS if name in known), None)
        if small == self._side:
            return
        if self._name is not None:
            grid = math.isqrt(len(known[self._name]) - 1)
            matrix = _between(grid, max(1, grid * small // self._side))
            self.register_buffer("_between", matrix, persistent=False)
        self._check()

    def forward(self, images: Float[Tensor, "N 3 S S"]) -> Float[Tensor, "N D"]:
        """Image features, of no particular length."""
        if self._name is None or images.shape[-1] == self._side:
            return self.visual(images)
        own = self.visual.get_parameter(self._name)
        matrix = self.get_buffer("_between")
        positions = torch.cat([own[:1], matrix @ own[1:]])
        return functional_call(self.visual, {self._name: positions}, (images,))

    def copied(self) -> "Tower":
        """A tower of its own with the same weights."""
        return copy.deepcopy(self)

    @torch.no_grad()
    def _check(self) -> None:
        training = self.visual.training
        strided = [m for m in self.visual.modules() if isinstance(m, nn.Conv2d) and m.stride > ONE]
        hooks = [module.register_forward_pre_hook(_refuse_point) for module in strided]
        self.visual.eval()
        try:
            self(torch.zeros(2, 3, self._small, self._small))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"train.dino.local_size is {self._small}, and the model's image tower cannot take "
                f"images of that size ({error}); take a larger one, of {self._side} at most"
            ) from None
        finally:
            self.visual.train(training)
            for hook in hooks:
                hook.remove()


def _refuse_point(_: nn.Module, given: tuple[Tensor, ...]) -> None:
    """No stride over a single pixel: torch's 16-bit gradients of it read what nobody has written.

    Seen with torch 2.15 on a CPU: weights' gradients that differ from call to call, up to infinity.
    """
    if given[0].shape[-1] == 1:
        raise ValueError("one pixel is left of them before the last stride")


def _side(size: int | tuple[int, int]) -> int:
    return size if isinstance(size, int) else size[0]


def _between(grid: int, small: int) -> Float[Tensor, "M N"]:
    """The matrix that interpolates values on a square grid to a smaller one, bicubically."""
    unit = torch.eye(grid * grid).view(grid * grid, 1, grid, grid)
    made = functional.interpolate(unit, size=(small, small), mode="bicubic", align_corners=False)
    return made.flatten(1).T.contiguous()
