"""From data to parameters."""

from semimech.fit.config import FitConfig, config_from_dict, format_config, read_config
from semimech.fit.fitted import FittedModel, load
from semimech.fit.fitting import fit
from semimech.fit.folder import check_place, is_model, package_versions

__all__ = [
    "FitConfig",
    "FittedModel",
    "check_place",
    "config_from_dict",
    "fit",
    "format_config",
    "is_model",
    "load",
    "package_versions",
    "read_config",
]
