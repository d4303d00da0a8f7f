"""By what a split's rows were measured: the study's encoder and reference, or others."""

from dataclasses import dataclass
from pathlib import Path

from clipcause.config import layout, other_scores
from clipcause.config.other_scores import MAIN, NONE, OtherScores
from clipcause.embed import embeddings
from clipcause.embed.embeddings import Embeddings
from clipcause.prune.by_similarity import Scored
from clipcause.prune.rule import Rule
from clipcause.report.study import Sources, needed
from clipcause.search import scores
from clipcause.search.scores import Scores


@dataclass(frozen=True)
class Measured:
    """Scores by test set, and the folder of the embeddings that they were made from."""

    scores: dict[str, Scores]
    folder: Path

    def store(self, name: str, role: str, test: str) -> Embeddings:
        """The embeddings of a data set, the very ones that the scores of ``test`` are of."""
        is_other = self.folder.parent.name == "by"
        how = f"scores@{self.folder.name}" if is_other else f"embed@{name}"
        folder, card = needed(self.folder / name, how), self.scores[test].card
        return embeddings.read(folder, encoder=card["encoder"], dataset=card[role])


def named(rule: Rule) -> str:
    """The other scores that a rule looks at; ``none``: the study's own, or no scores."""
    return rule.scores if isinstance(rule, Scored) else NONE


def by(study: Sources, rule: Scored) -> Measured:
    """What a rule's rows were measured by. Raises ``FileNotFoundError`` where it was not made."""
    main = layout.embeddings(study.encoder, "")
    if rule.scores == NONE:
        return Measured(study.scores, main)
    root = layout.scores(rule.scores)
    for test in rule.tests:
        if not (root / test / scores.CARD).exists():
            raise FileNotFoundError(
                f"{root / test}: not found; `dvc repro scores@{rule.scores}` makes it"
            )
    found = scores.read_all(root, rule.tests, pool=study.pool.sha256)
    own = other_scores.load(rule.scores).encoder != MAIN
    return Measured(found, layout.embeddings_by(rule.scores) if own else main)


def said(one: OtherScores, encoder: str) -> str:
    """The encoder of other scores in words; ``encoder`` is the name of the study's own."""
    if one.encoder == MAIN:
        return f"the encoder {encoder}"
    if one.encoder == "run":
        return f"the image tower of {one.run}"
    return f"pixels ({one.side} x {one.side}, projected to {one.dim} dimensions)"
