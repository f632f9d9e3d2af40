"""Stage 3: a language model → one that answers a docstring with a function.

Takes the documented functions out of the files in `art://nano-pretrain-data`, packs them (`nano-sft-data`),
and trains `art://nano-base-model` on them, on the answers alone. Makes `nano-sft-model`.
"""

import filecmp
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # See pretrain.py.

import chat
import numpy as np
import packing
import stage
from indexed_dataset import IndexedDataset
from language_model import Adam, LanguageModel, Shape
from tokenizers import Tokenizer

from nemotron import kit
from nemotron.kit.artifact import ModelArtifact, PretrainBlendsArtifact, SFTDataArtifact
from nemotron.kit.trackers import InputDatasetInfo


def main() -> None:
    parser = stage.parser(__doc__)
    parser.add_argument("--steps", type=int, default=250, help="[250]")
    parser.add_argument("--batch", type=int, default=6, help="packs per step [6]")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate [0.002]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    args = parser.parse_args()
    steps = kit.apply_scale(args.steps, args.scale)
    kit.init(root=args.root)
    with kit.run("sft", config=vars(args), seeds=args.seed):
        base = ModelArtifact.from_uri("art://nano-base-model")
        model = LanguageModel.load(base.path)
        kit.print_step_complete(
            sft_data=make_data(stage.fresh_folder(args.out, "sft_data"), base, model.shape)
        )

        data = SFTDataArtifact.from_uri("art://nano-sft-data")
        train, valid = (packing.read(Path(split)) for split in (data.training_path, data.validation_path))
        held_out = packing.batch(valid, data.pack_size)
        first_loss, _ = model.loss(*held_out)
        rng = np.random.default_rng(args.seed)
        optimiser = Adam(model, args.rate, steps)
        tokens_seen = 0
        with stage.progress("sft", steps) as show:
            for step in range(1, steps + 1):
                rows = rng.choice(len(train), args.batch)
                drawn = [train[row] for row in rows]
                tokens_seen += sum(len(pack.input_ids) for pack in drawn)
                loss, gradient = model.loss(*packing.batch(drawn, data.pack_size))
                optimiser.update(gradient)
                show(step, f"loss {loss:.3f}")

        folder = stage.fresh_folder(args.out, "sft_model")
        model.save(folder)
        shutil.copy(base.path / "tokenizer.json", folder)
        final_loss, _ = model.loss(*held_out)
        artifact = ModelArtifact(
            path=folder,
            step=steps,
            final_loss=round(final_loss, 4),
            metadata={
                "loss_is": "validation, nats per token of an answer",
                "first_loss": round(first_loss, 4),
                "parameters": model.flat.size,
                "tokens_seen": tokens_seen,
            },
        )
        artifact.save(name="nano-sft-model", snapshot=True, inputs=[base, data])
        kit.print_step_complete(sft=artifact)


def make_data(folder: Path, base: ModelArtifact, shape: Shape) -> SFTDataArtifact:
    """Make `nano-sft-data` from the pretraining data and with its tokenizer, for a base model."""
    began = time.monotonic()
    text = PretrainBlendsArtifact.from_uri("art://nano-pretrain-data")
    if not filecmp.cmp(text.path / "tokenizer.json", base.path / "tokenizer.json", shallow=False):
        raise SystemExit(f"{base.uri} has another tokenizer than {text.uri}: run pretrain.py again")
    tokenizer = Tokenizer.from_file(str(text.path / "tokenizer.json"))
    packs = {}
    taken: Counter[str] = Counter()
    for split in ("train", "valid"):
        found = [one for one in conversations(text.path, split, tokenizer) if one.size <= shape.context]
        for one in found:
            taken[one.source] += one.size
        packs[split] = packing.pack(((one.prompt, one.answer) for one in found), shape.context)
        if not packs[split]:
            raise SystemExit(f"No documented function of up to {shape.context} tokens in {text.uri}, {split}")
        packing.write(folder / "splits" / split / "shard_000000.parquet", packs[split])
    every = [pack for split in packs.values() for pack in split]
    artifact = SFTDataArtifact(
        path=folder / "splits",
        total_tokens=sum(len(pack.input_ids) for pack in every),
        total_sequences=len(every),
        num_shards=len(packs),
        pack_size=shape.context,
        training_path=str(folder / "splits" / "train"),
        validation_path=str(folder / "splits" / "valid"),
        # Each file was read once, whatever the blend's weights say, and not all of it is conversations.
        source_datasets=[
            InputDatasetInfo(uri=source.uri, name=source.name, weight=taken[source.name])
            for source in text.source_datasets
            if taken[source.name]
        ],
        tokenizer_uri=f"{text.uri}/tokenizer.json",
        elapsed_sec=time.monotonic() - began,
        metadata={"conversations": sum(len(pack.seq_start_id) for pack in every)},
    )
    return artifact.save(name="nano-sft-data", snapshot=True, inputs=[text])


@dataclass
class Conversation:
    """A prompt and its answer as tokens, and the source that they were found in."""

    source: str
    prompt: list[int]
    answer: list[int]

    @property
    def size(self) -> int:
        """In tokens."""
        return len(self.prompt) + len(self.answer)


def conversations(data: Path, split: str, tokenizer: Tokenizer) -> Iterator[Conversation]:
    """Those of each file: the tokens of a shard are its text, without loss."""
    for index in sorted(data.glob(f"{split}-*.idx")):
        documents = IndexedDataset.open(index.with_suffix(""))
        for i in range(len(documents)):
            for request, code in chat.functions(tokenizer.decode(documents[i].tolist())):
                prompt, answer = chat.prompt(request), code + chat.END
                source = index.stem.removeprefix(f"{split}-")
                yield Conversation(source, tokenizer.encode(prompt).ids, tokenizer.encode(answer).ids)


if __name__ == "__main__":
    stage.run(main)
