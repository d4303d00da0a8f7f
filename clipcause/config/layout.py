"""Where every artifact lies, relative to the root of the repository."""

from pathlib import Path

RAW_ICONS = Path("data/raw/icons.tgz")  # packages, as npm brings them
RAW_WORDNET = Path("data/raw/wordnet.tgz")
POOL = "pool"  # the data set that a study prunes; a study has one
SPLITS = Path("splits")
LISTS = Path("lists")  # of samples, made elsewhere: what the rule `given` reads
TESTS = "tests"  # the folder of the data sets that models are tested on
TEXTS = Path("texts")
ASKED = Path("data/asked")
PLACES = Path("data/places")
NONE = "none"  # what a slot names that is not used; there is an empty artifact of that name
ALL = "all"  # the split of all rows, which every data set has
BASES = (ALL, "dedup")  # splits that no rule chose: `prepare` and `deduplicate` write them


def raw(name: str) -> Path:
    """The package of that name in the section `fetch`."""
    return Path("data/raw") / f"{name}.tgz"


def test(name: str) -> str:
    """The data set of a test set: test sets have a folder of their own, so that a stage can
    depend on all of them, however many there are."""
    return f"{TESTS}/{name}"


def is_test(dataset: str) -> bool:
    """Whether a data set is one of the test sets."""
    return dataset.startswith(f"{TESTS}/")


def dataset(name: str) -> Path:
    """Shards, manifest and drop ledger of a data set."""
    return Path("data") / name


def manifest(name: str) -> Path:
    """The manifest of a data set, which many stages need without its shards."""
    return dataset(name) / "manifest.parquet"


def place(name: str) -> Path:
    """What lies at a place of the section `places`, as it was last listed."""
    return PLACES / name


def classes(name: str) -> Path:
    """A list of classes that a person can edit."""
    return Path("data/classes") / f"{name}.yaml"


def asked(classes: str) -> Path:
    """The copy of a list of classes that `evaluate.again` names: DVC watches those alone."""
    return ASKED / f"{classes}.yaml"


def frequency(classes: str) -> Path:
    """Counts and matches of the pool's captions for a list of classes."""
    return Path("frequency") / classes


def embeddings(encoder: str, dataset: str) -> Path:
    """The embedding store of a data set under an encoder."""
    return Path("embeddings") / encoder / dataset


def texts(encoder: str, dataset: str) -> Path:
    """The store of the embeddings of a data set's captions under an encoder."""
    return TEXTS / encoder / dataset


def signal(name: str) -> Path:
    """A value for every pool row, by which splits rank them."""
    return Path("signals") / name


def similarities(encoder: str, reference: str) -> Path:
    """The folder that holds the scores of every test set against one reference."""
    return Path("similarity") / encoder / reference


def similarity(encoder: str, reference: str, test: str) -> Path:
    """The scores of pool and test rows for one test set."""
    return similarities(encoder, reference) / test


def scores(name: str) -> Path:
    """The folder that holds the scores of every test set by another encoder or reference."""
    return Path("scores") / name


def embeddings_by(scores: str) -> Path:
    """The folder of the embedding stores that an entry of `scores` made."""
    return Path("embeddings/by") / scores


def density(encoder: str, reference: str, test: str) -> Path:
    """How many pool rows lie just under the threshold of every test image."""
    return Path("density") / encoder / reference / test


def split(name: str, dataset: str = POOL) -> Path:
    """A split: a bitmap over the rows of a data set, and its card.

    Rules make splits of the pool alone. The split `all` is there for every data set: what makes
    the pool's makes those of others too, and what depends on the pool's depends on no other.
    """
    return SPLITS / name / dataset


def domains(name: str) -> Path:
    """Which of two visual domains each pool row is of."""
    return Path("domains") / name


def export(name: str) -> Path:
    """A split as WebDataset shards, for other tools."""
    return Path("export") / name


def model(run: str) -> Path:
    """The checkpoint of a run."""
    return Path("models") / run


def weights(name: str) -> Path:
    """The hashes of an entry of `weights`: what a published model is read from.

    It lies among the models, for there is the slot of a run that says what it is made from.
    """
    return Path("models/weights") / name


def curves(run: str) -> Path:
    """The training curve of a run, as DVCLive writes it."""
    return Path("curves") / run


def predictions(run: str) -> Path:
    """The folder of a run's predictions, one file per test set."""
    return Path("predictions") / run


def features(run: str) -> Path:
    """The folder of a run's image features before normalisation, one file per test set."""
    return Path("features") / run


def probes(name: str) -> Path:
    """What a probe of a model says about the test sets."""
    return Path("probes") / name


def relevance(classes: str) -> Path:
    """How close captions are to the definitions of the classes that they mention."""
    return Path("relevance") / classes


def intraclass(name: str) -> Path:
    """How alike the images of a class are in a split of the pool."""
    return Path("intraclass") / name


def gap(split: str) -> Path:
    """Nearest similarities of every test image to a split."""
    return Path("gap") / split


def deduplicate() -> Path:
    """The removed duplicates of the pool and the centres that they were found within."""
    return Path("deduplicate")


def metrics(stage: str, name: str) -> Path:
    """The numbers of one item of a stage, kept in git."""
    return Path("metrics") / stage / f"{name}.json"
