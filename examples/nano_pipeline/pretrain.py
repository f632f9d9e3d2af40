"""Stage 2: tokens → a language model.

Trains a small transformer on windows of `art://nano-pretrain-data`, drawn by the weights of its blend.
Makes `nano-base-model`.
"""

import json
import os
import shutil
from pathlib import Path

# Before NumPy is imported: matrices this small are slower on several threads, and sums come out different.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import stage
from indexed_dataset import IndexedDataset
from language_model import Adam, Array, LanguageModel, Shape

from nemotron import kit
from nemotron.kit.artifact import ModelArtifact, PretrainBlendsArtifact


class Blend:
    """The shards of one split, and how often each is drawn from.

    Args:
        data: the folder with `blend.json`, which names shards relative to it.
        split: `train` or `valid`.
    """

    def __init__(self, data: Path, split: str) -> None:
        entries = json.loads((data / "blend.json").read_text())[split]
        weights = np.array(entries[::2], dtype=float)
        self.shares = weights / weights.sum()
        self.shards = [IndexedDataset.open(data / prefix).tokens for prefix in entries[1::2]]

    def draw(self, count: int, length: int, rng: np.random.Generator) -> Array:
        """Windows of tokens, (count, length); a shard that is shorter is read in a circle."""
        windows = np.empty((count, length), dtype=np.int64)
        for row, shard in zip(windows, rng.choice(len(self.shards), count, p=self.shares), strict=True):
            tokens = self.shards[shard]
            start = int(rng.integers(max(1, len(tokens) - length)))
            row[:] = tokens.take(range(start, start + length), mode="wrap")
        return windows


def main() -> None:
    parser = stage.parser(__doc__)
    parser.add_argument("--steps", type=int, default=700, help="[700]")
    parser.add_argument("--batch", type=int, default=4, help="sequences per step [4]")
    parser.add_argument("--context", type=int, default=128, help="tokens of a sequence [128]")
    parser.add_argument("--width", type=int, default=96, help="of the model [96]")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate [0.003]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    args = parser.parse_args()
    steps = kit.apply_scale(args.steps, args.scale)
    kit.init(root=args.root)
    with kit.run("pretrain", config=vars(args), seeds=args.seed):
        folder = stage.fresh_folder(args.out, "pretrain")

        data = PretrainBlendsArtifact.from_uri("art://nano-pretrain-data")
        train, valid = Blend(data.path, "train"), Blend(data.path, "valid")
        rng = np.random.default_rng(args.seed)
        shape = Shape(vocabulary=data.metadata["vocabulary"], context=args.context, width=args.width)
        model = LanguageModel(shape).initialise(rng)
        held_out = valid.draw(64, args.context + 1, np.random.default_rng(0))
        first_loss, _ = model.loss(held_out)

        optimiser = Adam(model, args.rate, steps)
        with stage.progress("pretrain", steps) as show:
            for step in range(1, steps + 1):
                loss, gradient = model.loss(train.draw(args.batch, args.context + 1, rng))
                optimiser.update(gradient)
                show(step, f"loss {loss:.3f}")

        model.save(folder)
        shutil.copy(data.path / "tokenizer.json", folder)
        final_loss, _ = model.loss(held_out)
        artifact = ModelArtifact(
            path=folder,
            step=steps,
            final_loss=round(final_loss, 4),
            metadata={
                "loss_is": "validation, nats per token",
                "first_loss": round(first_loss, 4),
                "parameters": model.flat.size,
                "tokens_seen": steps * args.batch * args.context,
            },
        )
        artifact.save(name="nano-base-model", snapshot=True)
        kit.print_step_complete(pretrain=artifact)


if __name__ == "__main__":
    stage.run(main)
