from pathlib import Path

import packing
import pytest
from packing import Pack

CONVERSATIONS = [([1, 2], [3]), ([4], [5, 6]), ([7], [8] * 9), ([9], [10])]


def test_conversations_are_packed_in_order_and_what_is_too_long_is_left_out() -> None:
    assert packing.pack(CONVERSATIONS, size=6) == [
        Pack(input_ids=[1, 2, 3, 4, 5, 6], loss_mask=[0, 0, 1, 0, 1, 1], seq_start_id=[0, 3]),
        Pack(input_ids=[9, 10], loss_mask=[0, 1], seq_start_id=[0]),
    ]
    assert packing.pack(CONVERSATIONS, size=1) == []


def test_the_prompts_come_out_again() -> None:
    prompts = [prompt for pack in packing.pack(CONVERSATIONS, size=6) for prompt in pack.prompts()]
    assert prompts == [[1, 2], [4], [9]]


def test_parquet_holds_the_same_packs_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    packs = packing.pack(CONVERSATIONS, size=6)
    paths = [tmp_path / run / "shard_000000.parquet" for run in ("first", "second")]
    for path in paths:
        packing.write(path, packs)
        assert packing.read(path.parent) == packs
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_batch_counts_the_answers_alone() -> None:
    tokens, weights, segments = packing.batch(packing.pack(CONVERSATIONS, size=6), size=6)
    assert tokens.tolist() == [[1, 2, 3, 4, 5, 6], [9, 10, 0, 0, 0, 0]]
    # One weight for each token but the first: 3, 5, 6 and 10 are the answers.
    assert weights.tolist() == [[0, 0.25, 0, 0.25, 0.25], [0.25, 0, 0, 0, 0]]
    # The padding is an example of its own, so that nothing attends to it.
    assert segments.tolist() == [[1, 1, 1, 2, 2], [1, 1, 2, 2, 2]]
    assert weights.sum() == pytest.approx(1)
