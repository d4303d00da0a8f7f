"""`negclip-loss`: how well picture and caption fit, less how well each fits any other.

negCLIPLoss (Wang et al. 2024, arXiv 2405.19547; their code, `cal_new_clip_score`): minus the CLIP
loss of a pair, in units of similarity. With s_ij the similarity of picture i and caption j, B a
batch that the pair is in and t the encoder's temperature,

    s_ii - t / 2 (log sum_{j in B} exp(s_ij / t) + log sum_{j in B} exp(s_ji / t)),

the mean over ``batches`` random batches. Their last batch of a pass is what is left over, and the
sums over fewer pairs are smaller there; here it is filled up with pairs of the first batch, which
are only compared with. Of a row with several captions the first counts.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from clipcause.signals.given import Given
from clipcause.signals.signal import Captioned, Scored, rounded


class NegClipLoss(Captioned):
    """The mean over ``batches`` passes, in each of which every row is in one batch."""

    kind: Literal["negclip-loss"]
    batch_size: Annotated[int, Field(ge=2)]
    batches: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]

    def score(self, given: Given) -> Scored:
        """With the encoder's own temperature."""
        from clipcause.signals.contrast import negclip_loss  # torch, which a check does without

        rows, scale = given.rows, given.scale()

        def image(places: np.ndarray) -> np.ndarray:
            return given.images.take(rows[places])

        def text(places: np.ndarray) -> np.ndarray:
            return given.texts.firsts(rows[places])

        value_R, own_R = negclip_loss(
            image, text, len(rows), scale, self.batch_size, self.batches, self.seed
        )
        numbers = {
            "scale": round(scale, 6),
            "batch_size": min(self.batch_size, len(rows)),
            "mean": round(float(value_R.mean()), 6),
            "mean_similarity": round(float(own_R.mean()), 6),
        }
        return Scored(rounded(value_R), numbers)

    @property
    def title(self) -> str:
        """Its authors' name."""
        return "negCLIPLoss"

    def sentence(self) -> str:
        """What is subtracted from what."""
        return (
            "the similarity of picture and first caption, less that of each to the others of "
            f"{self.batches:,} random batches of {self.batch_size:,} (negCLIPLoss)"
        )
