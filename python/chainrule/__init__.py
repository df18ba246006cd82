"""Define-by-run neural networks with Chainer's classes and an update rule per parameter."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule import (
    _core,
    arrays,
    backends,
    configuration,
    cuda,
    functions,
    initializers,
    links,
    optimizer,
    optimizer_hooks,
    optimizers,
    schedules,
    serializers,
    utils,
)
from chainrule._core import Variable, num_threads, set_num_threads
from chainrule.backend import (
    get_array_types,
    get_cpu_array_types,
    get_device,
    is_arrays_compatible,
    using_device,
)
from chainrule.backends.cuda import should_use_cudnn, should_use_cudnn_tensor_core
from chainrule.chain import Chain, ChainList
from chainrule.configuration import (
    config,
    force_backprop_mode,
    global_config,
    no_backprop_mode,
    using_config,
)
from chainrule.debug import DebugMode, is_debug, set_debug
from chainrule.device_resident import DeviceResident
from chainrule.dtypes import get_dtype, mixed16
from chainrule.function import Function, FunctionAdapter
from chainrule.function_node import FunctionNode
from chainrule.gradients import backward, grad
from chainrule.info import print_runtime_info
from chainrule.initializer import Initializer
from chainrule.link import Link
from chainrule.link_hook import LinkHook
from chainrule.optimizer import GradientMethod, Optimizer, UpdateRule
from chainrule.reporter import (
    DictSummary,
    Reporter,
    Summary,
    get_current_reporter,
    report,
    report_scope,
)
from chainrule.schedules import inherit
from chainrule.sequential import Sequential
from chainrule.serializer import AbstractSerializer, Deserializer, Serializer
from chainrule.traced import elementwise_rule
from chainrule.variable import Parameter, as_array, as_variable

__version__: str = _core.__version__

__all__ = [
    "AbstractSerializer",
    "Chain",
    "ChainList",
    "DebugMode",
    "Deserializer",
    "DeviceResident",
    "DictSummary",
    "Function",
    "FunctionAdapter",
    "FunctionNode",
    "GradientMethod",
    "Initializer",
    "Link",
    "LinkHook",
    "Optimizer",
    "Parameter",
    "Reporter",
    "Sequential",
    "Serializer",
    "Summary",
    "UpdateRule",
    "Variable",
    "arrays",
    "as_array",
    "as_variable",
    "backends",
    "backward",
    "config",
    "configuration",
    "cuda",
    "elementwise_rule",
    "force_backprop_mode",
    "functions",
    "get_array_types",
    "get_cpu_array_types",
    "get_current_reporter",
    "get_device",
    "get_dtype",
    "global_config",
    "grad",
    "inherit",
    "initializers",
    "is_arrays_compatible",
    "is_debug",
    "links",
    "mixed16",
    "no_backprop_mode",
    "optimizer",
    "optimizer_hooks",
    "optimizers",
    "print_runtime_info",
    "report",
    "report_scope",
    "schedules",
    "serializers",
    "set_debug",
    "should_use_cudnn",
    "should_use_cudnn_tensor_core",
    "using_config",
    "using_device",
    "utils",
]


def __getattr__(name: str) -> Any:
    if name in ("jax", "torch"):  # imported when they are asked for
        return importlib.import_module(f"chainrule.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
