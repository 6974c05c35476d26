"""Gives attention with any number of leading axes the two that torch.onnx takes: the batch and the heads.

Twins, for example, attends within windows, a third leading axis.
"""

from typing import Any

import torch
from torch import fx
from torch.nn import functional

__all__ = ["give_attention_four_axes", "needs_four_axes"]

_ATTENTION: Any = functional.scaled_dot_product_attention
_BROADCAST: Any = torch.broadcast_shapes
_CAPTURED = (_ATTENTION, torch.ops.aten.scaled_dot_product_attention.default)


def needs_four_axes(node: fx.Node) -> bool:
    """Return whether a step of a program that torch.export made is attention that torch.onnx can't take as it is."""
    return node.target in _CAPTURED and node.all_input_nodes[0].meta["val"].dim() != 4


def give_attention_four_axes(module: fx.GraphModule) -> None:
    """Make each `scaled_dot_product_attention` of the graph compute on N 1 L C if its query doesn't have four axes."""
    for node in module.graph.nodes:
        if node.target in _CAPTURED:
            node.target = _attend
    module.recompile()


def _attend(query: Any, key: Any, value: Any, attn_mask: Any = None, *arguments: Any, **options: Any) -> Any:
    if query.dim() == 4:
        return _ATTENTION(query, key, value, attn_mask, *arguments, **options)
    leading = _BROADCAST(query.shape[:-2], key.shape[:-2], value.shape[:-2])

    def folded(tensor: Any) -> Any:
        return tensor.expand(*leading, *tensor.shape[-2:]).reshape(-1, 1, *tensor.shape[-2:])

    mask = None if attn_mask is None else folded(attn_mask)
    attended = _ATTENTION(folded(query), folded(key), folded(value), mask, *arguments, **options)
    return attended.reshape(*leading, *attended.shape[-2:])
