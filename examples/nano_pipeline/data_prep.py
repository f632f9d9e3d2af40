"""Stage 1: text → tokens.

Reads source datasets, trains a byte-level BPE on them, and writes a Megatron shard per source and split, with
the blend to train on. Makes `nano-text-SOURCE` of each source, which keeps the text as it was, and
`nano-pretrain-data`.
"""

import json
import re
import time
from pathlib import Path

import chat
import corpus
import indexed_dataset
import stage
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from nemotron import kit
from nemotron.kit.artifact import Artifact, PretrainBlendsArtifact
from nemotron.kit.trackers import InputDatasetInfo


def main() -> None:
    parser = stage.parser(__doc__)
    parser.add_argument("--corpus", type=Path, help="a folder of Python files [the standard library]")
    parser.add_argument("--vocabulary", type=int, default=1024, help="tokens of the BPE [1024]")
    parser.add_argument("--source-bytes", type=int, default=2_000_000, help="at most, per source [2000000]")
    args = parser.parse_args()
    kit.init(root=args.root)
    with kit.run("data_prep", config=vars(args)):
        folder = stage.fresh_folder(args.out, "data_prep")
        began = time.monotonic()

        limit = kit.apply_scale(args.source_bytes, args.scale)
        sources = corpus.folder(args.corpus, limit) if args.corpus else corpus.standard_library(limit)
        texts = keep_texts(stage.fresh_folder(args.out, "text"), sources)
        tokenizer = train_tokenizer(sources, args.vocabulary)
        tokenizer.save(str(folder / "tokenizer.json"))
        weights = blend_weights(sources)
        counts = write_shards(folder, sources, weights, tokenizer)

        artifact = PretrainBlendsArtifact(
            path=folder,
            total_tokens=counts["train"][1] + counts["valid"][1],
            total_sequences=counts["train"][0] + counts["valid"][0],
            train_tokens=counts["train"][1],
            valid_tokens=counts["valid"][1],
            num_shards=len(list(folder.glob("*.bin"))),
            blend_path=str(folder / "blend.json"),
            source_datasets=[
                InputDatasetInfo(
                    uri=texts[source.name],
                    name=source.name,
                    weight=weights[source.name],
                    num_files=source.documents,
                    num_rows=source.documents,
                    size_bytes=source.size_bytes,
                )
                for source in sources
            ],
            elapsed_sec=time.monotonic() - began,
            metadata={"tokenizer": "byte-level BPE", "vocabulary": tokenizer.get_vocab_size()},
        )
        artifact.save(name="nano-pretrain-data", snapshot=True)
        kit.print_step_complete(data_prep=artifact)


def keep_texts(folder: Path, sources: list[corpus.Source]) -> dict[str, str]:
    """Publish the text of each source as it is now; returns the artifacts' URIs by the sources' names."""
    found: dict[str, str] = {}
    for source in sources:
        name = f"nano-text-{re.sub('[^A-Za-z0-9]+', '-', source.name).strip('-')}"
        if any(uri.startswith(f"art://{name}:") for uri in found.values()):
            raise SystemExit(f"Two folders are both {name}: rename {source.name}")
        for file, text in source.files.items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        kept = Artifact(path=folder / name, metadata={"documents": source.documents})
        whole = kit.Input(source.uri, role="data", weight=1)
        found[source.name] = kept.save(name=name, snapshot=True, inputs=[whole]).uri
    return found


def train_tokenizer(sources: list[corpus.Source], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of the training text; what it encodes it decodes to the same text again."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=chat.SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for source in sources for text in source.train), trainer)
    return tokenizer


def blend_weights(sources: list[corpus.Source]) -> dict[str, float]:
    """Shares that grow with the root of a source's size, so that small ones are seen often enough."""
    roots = {source.name: source.size_bytes**0.5 for source in sources}
    return {name: round(root / sum(roots.values()), 4) for name, root in roots.items()}


def write_shards(
    folder: Path, sources: list[corpus.Source], weights: dict[str, float], tokenizer: Tokenizer
) -> dict[str, tuple[int, int]]:
    """Write `SPLIT-SOURCE.bin` and `.idx`, and `blend.json`; returns sequences and tokens by split."""
    end = tokenizer.token_to_id(chat.END_OF_TEXT)
    blend: dict[str, list[str]] = {"train": [], "valid": []}
    counts = {"train": (0, 0), "valid": (0, 0)}
    with stage.progress("tokenize", len(sources)) as show:
        for done, source in enumerate(sources, start=1):
            for split, texts in (("train", source.train), ("valid", source.valid)):
                if texts:
                    documents = [[*encoding.ids, end] for encoding in tokenizer.encode_batch(texts)]
                    sequences, tokens = indexed_dataset.write(folder / f"{split}-{source.name}", documents)
                    blend[split] += [str(weights[source.name]), f"{split}-{source.name}"]
                    counts[split] = (counts[split][0] + sequences, counts[split][1] + tokens)
            show(done, source.name)
    (folder / "blend.json").write_text(json.dumps(blend, indent=2) + "\n")
    return counts


if __name__ == "__main__":
    stage.run(main)
