import pytest

from nemotron.kit.train_script.nearest import nearest, nearest_path, suggestion

KNOWN = [
    "train",
    "train.lr",
    "train.steps",
    "optimizer",
    "optimizer.lr",
    "optimizer.weight_decay",
    "data.path",
]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("trian", "train"),
        ("trian.lr", "train.lr"),
        ("train.stepz", "train.steps"),
        ("Train.Steps", "train.steps"),
        ("optimiser.lr", "optimizer.lr"),
        ("weight_decay", "optimizer.weight_decay"),
        ("train.wieght_decay", "optimizer.weight_decay"),
        # A right section alone makes no key near.
        ("train.bf16", None),
        # Nor is a section near to a key in it.
        ("train.strain", None),
        ("zzz", None),
    ],
)
def test_the_path_that_was_meant(path: str, found: str | None) -> None:
    assert nearest_path(path, KNOWN) == found


def test_case_does_not_matter_and_nothing_is_near_to_nothing() -> None:
    assert nearest("LR", ["lr", "steps"]) == "lr"
    assert nearest("lr", []) is None
    assert nearest_path("lr", []) is None


def test_what_there_is_is_listed_but_not_for_ever() -> None:
    assert suggestion(None, []) == "There is no key at all."
    assert suggestion(None, map(str, range(13))).endswith("10, 11, ….")
