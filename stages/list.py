"""list@PLACE: a folder or URL of the section `places` comes in; what lies there goes out.

DVC knows what is outside of the repository only by reading it, which for ten terabytes of tars is
no option. So this stage runs whenever the study is brought up to date, and reads names, sizes and
stamps alone (``clipcause.data.listing``). What reads the place depends on the list, and runs where
it has changed.
"""

from clipcause.data import listing
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """List what lies at the place ``name`` of the section `places`."""
    return listing.write(name)


if __name__ == "__main__":
    run(main)
