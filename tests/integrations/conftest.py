"""What tests of configs and other integrations share."""

import pytest
from omegaconf import OmegaConf

from nemotron.kit.integrations.omegaconf import clear_artifact_cache


@pytest.fixture
def forgotten():
    """What a process has resolved, and its resolvers, are those of one test."""
    clear_artifact_cache()
    yield
    clear_artifact_cache()
    OmegaConf.clear_resolvers()
