from pathlib import Path

import numpy as np
import pytest
from language_model import Adam, LanguageModel, Shape
from sampling import generate

SHAPE = Shape(vocabulary=11, context=8, width=6, heads=2, blocks=2)
TOKENS = np.array([[1, 5, 2, 2, 9, 10, 0, 3], [4, 4, 4, 7, 1, 0, 8, 6]])


def a_model(dtype: type = np.float64) -> LanguageModel:
    """All matrices drawn: those that start at zero would hide a wrong gradient of what is before them."""
    model = LanguageModel(SHAPE, dtype)
    model.flat[:] = np.random.default_rng(0).standard_normal(model.flat.size) * 0.5
    return model


def weights(kind: str) -> np.ndarray | None:
    if kind == "mean":
        return None
    drawn = np.random.default_rng(1).standard_normal((2, 7)) if kind == "advantages" else np.ones((2, 7))
    drawn[0, :3] = drawn[1, 4:] = 0
    return drawn / 5


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["mean", "mask", "advantages"])
def test_the_gradient_is_the_slope_of_the_loss(kind: str, packed: bool) -> None:
    model, weight = a_model(), weights(kind)
    segments = np.array([[1, 1, 1, 2, 2, 2, 2], [1, 1, 2, 2, 3, 3, 3]]) if packed else None
    _, gradient = model.loss(TOKENS, weight, segments)
    step = 1e-6
    slopes = np.empty_like(gradient)
    for i in range(model.flat.size):
        value = model.flat[i]
        model.flat[i] = value + step
        above, _ = model.loss(TOKENS, weight, segments)
        model.flat[i] = value - step
        below, _ = model.loss(TOKENS, weight, segments)
        model.flat[i] = value
        slopes[i] = (above - below) / (2 * step)
    np.testing.assert_allclose(gradient, slopes, atol=2e-8, rtol=1e-5)


def test_a_packed_example_is_predicted_as_it_is_alone() -> None:
    model = a_model()
    first, second = TOKENS[0, :4], TOKENS[1, :4]
    together = np.concatenate([first, second])[None, :]
    mask = np.array([[1, 1, 1, 0, 1, 1, 1]])  # the step from the first to the second does not count
    packed, _ = model.loss(together, mask, np.array([[1, 1, 1, 1, 2, 2, 2]]))
    alone = sum(model.loss(row[None, :], np.ones((1, 3)))[0] for row in (first, second))
    assert packed == pytest.approx(alone)


def test_a_token_does_not_see_what_follows() -> None:
    model = a_model()
    mask = np.array([[1, 1, 1, 0, 0, 0, 0]])
    other = TOKENS[:1].copy()
    other[0, 4:] = 0
    assert model.loss(TOKENS[:1], mask)[0] == pytest.approx(model.loss(other, mask)[0])


def test_training_learns_a_sequence_by_heart_and_the_model_then_writes_it() -> None:
    model = LanguageModel(SHAPE).initialise(np.random.default_rng(0))
    tokens = np.array([[1, 5, 2, 2, 9, 10, 0, 3]])
    optimiser = Adam(model, 0.02, steps=200)
    before, _ = model.loss(tokens)
    for _ in range(200):
        optimiser.update(model.loss(tokens)[1])
    after, _ = model.loss(tokens)
    assert before == pytest.approx(np.log(11), rel=0.1)
    assert after < 0.05
    answers = generate(model, [[1, 5], [1, 5, 2, 2]], room=4, stop=10, rng=np.random.default_rng(0))
    assert answers == [[2, 2, 9, 10], [9, 10]]


def test_sampling_draws_as_often_as_the_model_says() -> None:
    model = a_model()
    drawn = generate(model, [[1, 5, 2]] * 20_000, room=1, stop=0, rng=np.random.default_rng(0))
    shares = np.bincount([answer[0] for answer in drawn], minlength=11) / len(drawn)
    said = [
        np.exp(-model.loss(np.array([[1, 5, 2, token]]), np.array([[0, 0, 1]]))[0]) for token in range(11)
    ]
    np.testing.assert_allclose(shares, said, atol=0.015)


def test_no_weight_at_all_is_no_gradient() -> None:
    loss, gradient = a_model().loss(TOKENS, np.zeros((2, 7)))
    assert loss == 0
    assert not gradient.any()


def test_a_saved_model_is_loaded_bit_for_bit_and_saved_byte_for_byte(tmp_path: Path) -> None:
    model = a_model(np.float32)
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        model.save(folder)
        model = LanguageModel.load(folder)
    assert np.array_equal(model.flat, a_model(np.float32).flat)
    assert model.shape == SHAPE
    for name in ("model.safetensors", "config.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
