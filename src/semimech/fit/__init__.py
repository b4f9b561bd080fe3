"""From data to parameters."""

from semimech.fit.config import FitConfig, config_from_dict, format_config, read_config
from semimech.fit.fitted import FittedModel, load
from semimech.fit.fitting import fit
from semimech.fit.folder import check_place, is_model, package_versions
from semimech.fit.order import OrderEffect, order_effect

__all__ = [
    "FitConfig",
    "FittedModel",
    "OrderEffect",
    "check_place",
    "config_from_dict",
    "fit",
    "format_config",
    "is_model",
    "load",
    "order_effect",
    "package_versions",
    "read_config",
]
