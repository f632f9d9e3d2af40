"""From a command line and a YAML file to a typed config, and W&B from the environment.

A training script reads its settings in four steps, each of which can be used alone:

>>> path, overrides = parse_config_and_overrides(argv=["train.lr=3e-4"], default_config="config.yaml")
>>> path, overrides
('config.yaml', ['train.lr=3e-4'])

`load_omegaconf_yaml` reads the file, `apply_hydra_overrides` changes it, `omegaconf_to_dataclass` makes the
script's own dataclass of it. What is wrong (a misspelt key, a wrong type, a value that is still `???`) is an
error that names the key, the file, the nearest key that exists and the type expected. `check_config` says it
before a store or W&B is asked for anything. Neither omegaconf nor wandb is imported before it is needed.
"""

from nemotron.kit.train_script.arguments import parse_config_and_overrides
from nemotron.kit.train_script.loading import load_omegaconf_yaml
from nemotron.kit.train_script.overrides import apply_hydra_overrides
from nemotron.kit.train_script.to_dataclass import check_config, omegaconf_to_dataclass
from nemotron.kit.train_script.wandb_env import init_wandb_from_env

__all__ = [
    "apply_hydra_overrides",
    "check_config",
    "init_wandb_from_env",
    "load_omegaconf_yaml",
    "omegaconf_to_dataclass",
    "parse_config_and_overrides",
]
