"""Options: what there is, with its default, and TOML in and out."""

from nmt.config.schema import (
    SECTIONS,
    AlignmentConfig,
    Config,
    DataConfig,
    DecodingConfig,
    ModelConfig,
    OnLong,
    TokenizerConfig,
    TrainingConfig,
)
from nmt.config.toml import from_dict, load_config, load_toml, override, parse_override, to_toml

__all__ = [
    "SECTIONS",
    "AlignmentConfig",
    "Config",
    "DataConfig",
    "DecodingConfig",
    "ModelConfig",
    "OnLong",
    "TokenizerConfig",
    "TrainingConfig",
    "from_dict",
    "load_config",
    "load_toml",
    "override",
    "parse_override",
    "to_toml",
]
