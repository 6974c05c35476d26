"""The probe of one call alone, for a picture: the same outputs as of the full probe, for less work."""

import re

import pytest
import torch

from probe import build_probe
from probe.build import probe_of_call
from probe.model.example import bind_example
from proofs.small_modules.collection import small_models
from runtime.artifact.errors import LayerprobeError

MODELS = [
    "attention:TinyViT",
    "blocks:UNet",
    "control_flow:BranchOnValue",
    "control_flow:Cond",
    "edges:bfloat16",
    "indexing:SliceWritten",
    "regions:DropoutAlwaysOn",
    "results:ReturnsNested",
    "user_habits:InPlaceAfterView",
    "user_habits:OutArgument",
    "user_habits:Stateful",
    "user_habits:CachedGrid",
]


def described(probe):
    """All that doesn't depend on another batch or size."""
    fields = {"name", "label", "source_line", "layout", "tokens", "alias_of", "dtype"}
    return [each.model_dump(include=fields) for each in probe.outputs]


@pytest.mark.parametrize("name", MODELS)
def test_its_outputs_are_those_of_the_full_probe_and_so_is_its_refusal(name):
    entry = small_models()[name]
    model = entry.make().eval()
    call = bind_example(model, entry.example, {})
    try:
        whole = build_probe(model, *entry.example)
    except LayerprobeError as refusal:
        with pytest.raises(type(refusal), match=f"^{re.escape(str(refusal))}$"):
            probe_of_call(model, call)
        return
    alone = probe_of_call(model, call)
    assert described(alone) == described(whole)
    assert [each.shape for each in alone.inputs] == [tuple(each.shape) for each in entry.example]
    expected, found = whole(*call.tensors), alone(*call.tensors)
    assert all(torch.equal(found[each], expected[each]) for each in expected)


def test_a_part_of_a_probe_computes_only_what_it_needs_and_what_was_overwritten_is_whole():
    entry = small_models()["user_habits:InPlaceAfterView"]
    probe = build_probe(entry.make().eval(), *entry.example)
    whole = probe(*entry.example)
    for output in probe.outputs:
        part = probe.only([output.name])
        assert list(part(*entry.example)) == [output.name] == [each.name for each in part.outputs]
        assert torch.equal(part(*entry.example)[output.name], whole[output.name])
    first = probe.only([probe.outputs[0].name]).module.graph.nodes
    assert len(first) < len(probe.module.graph.nodes)
