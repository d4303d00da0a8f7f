"""``counts`` on a device that torch drives (a GPU): every step there, the same counts.

The fast pass is the float16 product of ``device``, whose value r says that a pair's product is in
[r - E, r + E]. Pairs whose edge lies in there go to float64, whose sums are exact in any order.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float16, Float64, Int64
from numpy import ndarray

from clipcause.search.counts import check_edges
from clipcause.search.device import COLUMNS, PAIRS, ROWS, available, exact_products
from clipcause.search.engine import accumulation
from clipcause.search.vectors import NORM_TOLERANCE, check, prepare

STRIP = 512
"""Rows of a product whose near pairs are listed at once: 128 MiB where all are near."""


class Columns:
    """Test images on their device, sorted by their lowest edge."""

    def __init__(
        self, query_QD: Float16[ndarray, "Q D"], edge_QE: Float64[ndarray, "Q E"], device: str
    ) -> None:
        """Raises ``ValueError`` as ``counts.columns``, and where there is no such device."""
        check_edges(query_QD, edge_QE)
        prepare("queries", query_QD, "float32")  # lengths are checked
        self.device = available(device)
        self.order_C = np.argsort(edge_QE.min(1), kind="stable")
        # values below 2 are rounded to float16 by at most 2^-11
        self.error = 2.0**-11 + 2 * accumulation(query_QD.shape[1])
        need_C = edge_QE[self.order_C].min(1) - self.error
        rounded_C = np.nextafter(need_C.astype(np.float16), np.float16(-np.inf))
        self.vectors_CD = torch.from_numpy(query_QD[self.order_C]).to(self.device)
        self.edge_CE = torch.from_numpy(edge_QE[self.order_C]).to(self.device)
        self.need_C = torch.from_numpy(rounded_C).to(self.device)


class Scan:
    """As ``counts.Scan``."""

    def __init__(self, of: Columns) -> None:
        self.of = of
        self._count_2CE = torch.zeros((2, *of.edge_CE.shape), dtype=torch.int64, device=of.device)

    def read(
        self, blocks: Iterable[tuple[int, Float16[ndarray, "_ D"]]], chosen_N: Bool[ndarray, " N"]
    ) -> None:
        """As ``counts.Scan.read``."""
        with exact_products():
            for start, block_ND in blocks:
                check("pool", block_ND, self.of.vectors_CD.shape[1])
                for a in range(0, len(block_ND), ROWS):
                    piece_ND = block_ND[a : a + ROWS]
                    here = slice(start + a, start + a + len(piece_ND))
                    self._piece(piece_ND, here.start, chosen_N[here])

    def result(self) -> Int64[ndarray, "2 Q E"]:
        """The counts so far, in the order in which the test images were given."""
        found_2CE = self._count_2CE.cpu().numpy()
        count_2QE = np.empty_like(found_2CE)
        count_2QE[:, self.of.order_C] = found_2CE
        return count_2QE

    def _piece(
        self, stored_ND: Float16[ndarray, "N D"], start: int, chosen_N: Bool[ndarray, " N"]
    ) -> None:
        vectors_ND = torch.from_numpy(np.array(stored_ND, order="C")).to(self.of.device)
        length_N = torch.linalg.vector_norm(vectors_ND, dim=1, dtype=torch.float32)
        # a NaN compares false, so the test is for what is good
        if not bool(((length_N - 1).abs() <= NORM_TOLERANCE).all()):
            prepare("pool", stored_ND, "float32", start)  # says which rows
        is_chosen_N = torch.from_numpy(np.array(chosen_N)).to(self.of.device)
        for c in range(0, len(self.of.order_C), COLUMNS):
            tile_CD, need_C = self.of.vectors_CD[c : c + COLUMNS], self.of.need_C[c : c + COLUMNS]
            sim_NC = vectors_ND @ tile_CD.T
            for a in range(0, len(sim_NC), STRIP):
                strip_NC = sim_NC[a : a + STRIP]
                row, column = (strip_NC >= need_C).nonzero(as_tuple=True)
                self._decide(
                    vectors_ND, a + row, c + column, strip_NC[row, column].double(), is_chosen_N
                )

    def _decide(
        self,
        vectors_ND: torch.Tensor,
        row_P: torch.Tensor,
        column_P: torch.Tensor,
        value_P: torch.Tensor,
        chosen_N: torch.Tensor,
    ) -> None:
        """Count what the product can tell, and the rest in float64."""
        of, edges = self.of, range(self.of.edge_CE.shape[1])
        for a in range(0, len(row_P), PAIRS):
            row, column, value = (part[a : a + PAIRS] for part in (row_P, column_P, value_P))
            edge_PE = of.edge_CE[column]
            left = ((value[:, None] - edge_PE).abs() <= of.error).any(1)
            # where a pair's product is known it stands in the place of the fast one
            x_PD, y_PD = vectors_ND[row[left]].float(), of.vectors_CD[column[left]].float()
            exact = x_PD.mul_(y_PD).double().sum(1)
            if len(exact) and (excess := float((exact - value[left]).abs().amax())) > of.error:
                raise RuntimeError(f"the device broke its error bound: an error of {excess:.3g}")
            value[left] = exact
            above_PE, chosen = value[:, None] > edge_PE, chosen_N[row]
            for e in edges:
                above = above_PE[:, e]
                both = (column[above], column[above & chosen])
                for count_CE, at in zip(self._count_2CE, both, strict=True):
                    count_CE[:, e].index_add_(0, at, torch.ones_like(at))
