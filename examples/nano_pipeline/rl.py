"""Stage 4: reinforcement learning with a reward that can be checked: is the answer Python?

Takes the prompts out of `art://nano-sft-data` (`nano-rl-data`) and lets `art://nano-sft-model` answer each
several times. What parses becomes more likely, what does not less (REINFORCE; the baseline is the mean reward
of the answers to the same prompt). Makes `nano-rl-model`.
"""

import json
import os
import shutil
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # See pretrain.py.

import chat
import fsspec
import numpy as np
import packing
import stage
from language_model import Adam, Array, LanguageModel
from sampling import generate
from tokenizers import Tokenizer

from nemotron import kit
from nemotron.kit.artifact import ModelArtifact, SFTDataArtifact, SplitJsonlDataArtifact

ROOM = 48  # tokens of an answer, at most
MEASURED = 64  # prompts that the reward is measured on, at most


class Policy:
    """A model that answers prompts, and the reward of its answers.

    Args:
        folder: a model with its tokenizer.
    """

    def __init__(self, folder: Path) -> None:
        self.model = LanguageModel.load(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.end = self.tokenizer.token_to_id(chat.END)

    def answer(self, prompts: list[list[int]], rng: np.random.Generator) -> tuple[list[list[int]], Array]:
        """An answer to each prompt, drawn from the model, and its reward: 1 if it ends and is a function."""
        answers = generate(self.model, prompts, ROOM, self.end, rng)
        rewards = [
            answer[-1] == self.end and chat.is_function(self.tokenizer.decode(answer[:-1]))
            for answer in answers
        ]
        return answers, np.array(rewards, dtype=float)

    def read(self, path: Path) -> list[list[int]]:
        """The prompts of a JSONL file as tokens; without those that leave no room for an answer."""
        texts = [json.loads(line)["prompt"] for line in path.read_text(encoding="utf-8").splitlines()]
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        fitting = [prompt for prompt in encoded if len(prompt) + ROOM <= self.model.shape.context]
        if not fitting:
            raise SystemExit(f"No prompt in {path} leaves room for {ROOM} tokens in the model's context")
        return fitting


def main() -> None:
    parser = stage.parser(__doc__)
    parser.add_argument("--steps", type=int, default=30, help="[30]")
    parser.add_argument("--prompts", type=int, default=12, help="per step [12]")
    parser.add_argument("--answers", type=int, default=8, help="per prompt [8]")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate [0.002]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    args = parser.parse_args()
    steps = kit.apply_scale(args.steps, args.scale)
    kit.init(root=args.root)
    with kit.run("rl", config=vars(args), seeds=args.seed):
        start = ModelArtifact.from_uri("art://nano-sft-model")
        policy = Policy(start.path)
        kit.print_step_complete(rl_data=make_data(stage.fresh_folder(args.out, "rl_data")))

        data = SplitJsonlDataArtifact.from_uri("art://nano-rl-data")
        train, val = (policy.read(data.path.parent / name) for name in (data.train, data.val))
        val = val[:MEASURED]
        reward_before = mean_reward(policy, val)
        rng = np.random.default_rng(args.seed)
        optimiser = Adam(policy.model, args.rate, steps)
        with stage.progress("rl", steps) as show:
            for step in range(1, steps + 1):
                drawn = [train[i] for i in rng.choice(len(train), args.prompts)]
                prompts = [prompt for prompt in drawn for _ in range(args.answers)]
                answers, rewards = policy.answer(prompts, rng)
                by_prompt = rewards.reshape(args.prompts, args.answers)
                advantages = by_prompt - by_prompt.mean(axis=1, keepdims=True)
                loss, gradient = policy.model.loss(*batch(prompts, answers, advantages.ravel()))
                optimiser.update(gradient)
                show(step, f"reward {rewards.mean():.3f}")

        folder = stage.fresh_folder(args.out, "rl_model")
        policy.model.save(folder)
        shutil.copy(start.path / "tokenizer.json", folder)
        artifact = ModelArtifact(
            path=folder,
            step=steps,
            final_loss=round(loss, 4),
            metadata={
                "loss_is": "policy gradient, last step",
                "reward_is": "share of answers that are a Python function",
                "reward_before": round(reward_before, 4),
                "reward": round(mean_reward(policy, val), 4),
                "parameters": policy.model.flat.size,
            },
        )
        artifact.save(name="nano-rl-model", snapshot=True, inputs=[start, data])
        kit.print_step_complete(rl=artifact)


def make_data(folder: Path) -> SplitJsonlDataArtifact:
    """Make `nano-rl-data`: the prompts of the SFT data, by split."""
    began = time.monotonic()
    conversations = SFTDataArtifact.from_uri("art://nano-sft-data")
    with fsspec.open(conversations.tokenizer_uri, encoding="utf-8", mode="r") as file:
        tokenizer = Tokenizer.from_str(file.read())
    files, total, tokens = {}, 0, 0
    for split, packed in (("train", conversations.training_path), ("val", conversations.validation_path)):
        prompts = [prompt for pack in packing.read(Path(packed)) for prompt in pack.prompts()]
        texts = dict.fromkeys(tokenizer.decode(prompt, skip_special_tokens=False) for prompt in prompts)
        files[split] = f"{split}.jsonl"
        lines = "".join(json.dumps({"prompt": text}) + "\n" for text in texts)
        (folder / files[split]).write_text(lines, encoding="utf-8")
        total += len(texts)
        tokens += sum(len(tokenizer.encode(text).ids) for text in texts)
    (folder / "manifest.json").write_text(json.dumps(files, indent=2) + "\n")
    artifact = SplitJsonlDataArtifact(
        path=folder / "manifest.json",
        total_sequences=total,
        elapsed_sec=time.monotonic() - began,
        **files,
    )
    return artifact.save(name="nano-rl-data", snapshot=True, inputs=[kit.Input(conversations, tokens=tokens)])


def mean_reward(policy: Policy, prompts: list[list[int]]) -> float:
    """What the policy earns for four answers to each prompt, with the same luck each time."""
    return float(policy.answer(prompts * 4, np.random.default_rng(0))[1].mean())


def batch(prompts: list[list[int]], answers: list[list[int]], advantages: Array) -> tuple[Array, Array]:
    """Tokens, and for each but the first the advantage of its answer; 0 for prompts and padding."""
    rows = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
    tokens = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    weights = np.zeros(tokens.shape)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
        weights[i, len(prompts[i]) : len(row)] = advantages[i]
    return tokens, weights[:, 1:] / sum(map(len, answers))


if __name__ == "__main__":
    stage.run(main)
