"""How many notes each code has in each split: a few codes are frequent, many are rare, all splits alike."""

SPLITS = {"train": 2100, "valid": 300, "test": 500}
# The frequency falls with the rank as in Zipf's law, but from this rank on, so that no code is too rare to learn.
SHIFT = 20
# From frequent to rare.
RANKED = (
    "I10", "E11.9", "N39.0", "F41.1", "J20.9", "K21.9", "E11.65", "J45.909", "J44.9", "F33.9", "M54.42", "H66.91",
    "L03.116", "S93.401A", "J18.9", "I11.0", "M54.41", "J45.901", "H66.92", "E11.42", "L03.115", "J44.1", "S93.402A",
    "F32.9", "I50.9", "N30.00", "K21.00", "I12.9", "F41.9", "M54.31", "H60.92", "J45.20", "N30.01", "E10.9", "S93.402D",
    "M54.32", "N10", "L02.415", "H60.91", "J45.21", "E10.65", "S93.401D", "L02.416", "K21.01",
)  # fmt: skip


def counts():
    """By code, its number of notes in each split."""
    shared = {split: share_out(total) for split, total in SPLITS.items()}
    return {code: {split: shared[split][rank] for split in SPLITS} for rank, code in enumerate(RANKED)}


def share_out(total):
    """The numbers of notes by rank: whole, and adding up to the total; what is over goes to the largest fractions."""
    weights = [1 / (rank + SHIFT) for rank in range(len(RANKED))]
    exact = [total * weight / sum(weights) for weight in weights]
    whole = [int(share) for share in exact]
    by_fraction = sorted(range(len(exact)), key=lambda rank: (whole[rank] - exact[rank], rank))
    for rank in by_fraction[: total - sum(whole)]:
        whole[rank] += 1
    return whole
