"""The reference: float64 truth, read the moment it is computed, and a noise floor that float32 deserves."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from export.reference_recording import _jitter, record_reference
from probe import build_probe
from probe.capture.traced_model import return_named
from runtime import compare_output


def _in_place_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3)).eval()


def test_the_truth_is_float64_eager_pytorch():
    model = _in_place_net()
    probe = build_probe(model, torch.zeros(1, 3, 9, 9))
    (x,) = probe.noise_input()
    reference = record_reference(probe, (x,))
    with torch.no_grad():
        exact = model.double()(x.double())
    np.testing.assert_array_equal(reference.truths["3"].sample, exact.numpy().reshape(-1))
    assert (reference.truths["1"].sample < 0).any(), "read before the ReLU overwrote it"
    assert 0 < reference.truths["3"].noise_floor < 1e-5


def test_a_probe_that_captures_too_late_would_show_as_drift():
    probe = build_probe(_in_place_net(), torch.zeros(1, 3, 9, 9))
    late = dataclasses.replace(probe, module=return_named(probe.traced.module, probe.nodes, set(), "Late"))
    inputs = probe.noise_input()
    reference = record_reference(probe, inputs)
    with torch.no_grad():
        verdicts = {
            name: compare_output(name, reference.truths[name], tensor.numpy()).verdict
            for name, tensor in late(*inputs).items()
        }
    assert verdicts == {"0": "pass", "1": "drift", "2": "pass", "3": "pass"}


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch's own, of flags that are not asked for
def test_an_output_of_one_element_has_a_floor_that_does_not_hang_on_luck():
    torch.manual_seed(0)
    layers = [module for _ in range(6) for module in (nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())]
    model = nn.Sequential(nn.Conv2d(3, 8, 1), *layers, nn.Flatten(), nn.Linear(8 * 64, 1))
    probe = build_probe(model, torch.zeros(1, 3, 8, 8))
    for seed in range(20):
        inputs = probe.noise_input(seed=seed)
        reference = record_reference(probe, inputs)
        # Another float32 program: the same sums, in another order.
        with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
            for name, tensor in probe(*inputs).items():
                assert compare_output(name, reference.truths[name], tensor.numpy()).verdict == "pass", (seed, name)


def test_the_jitter_moves_a_third_of_the_values_up_and_a_third_down_by_one_step():
    values = torch.randn(30_000)
    moved = _jitter(values, torch.Generator().manual_seed(0))
    up, down = (moved > values).sum().item(), (moved < values).sum().item()
    assert 9_500 < up < 10_500
    assert 9_500 < down < 10_500
    neighbours = (torch.nextafter(values, torch.tensor(torch.inf)), torch.nextafter(values, torch.tensor(-torch.inf)))
    assert ((moved == values) | (moved == neighbours[0]) | (moved == neighbours[1])).all()


def test_a_model_that_asks_for_float32_in_its_forward_has_a_float64_truth_all_the_same():
    class Casting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x.mean((2, 3)).float().to(torch.float32)) + torch.zeros(2, dtype=torch.float32)

    probe = build_probe(Casting(), torch.zeros(1, 3, 4, 4))
    truth = record_reference(probe, probe.noise_input()).truths["add"]
    assert (truth.sample != truth.sample.astype(np.float32)).any()


def test_where_eager_float32_overflows_its_infinity_stands_in_for_the_truth():
    class Overflowing(nn.Module):
        def forward(self, x):
            return torch.exp(x * 60)

    probe = build_probe(Overflowing(), torch.zeros(1, 3, 4, 4))
    inputs = probe.noise_input()
    truth = record_reference(probe, inputs).truths["exp"]
    assert np.isposinf(truth.sample).sum() == truth.nonfinite > 0
    assert compare_output("exp", truth, probe(*inputs)["exp"].numpy()).verdict == "pass"


def test_what_the_narrow_cast_copied_is_a_copy_in_the_truth_as_well():
    class Casting(nn.Module):
        def forward(self, x):
            y = x + 1
            z = y.half().float()
            z.mul_(2)
            w = y.to(torch.float16).to(torch.float32)
            w += 1
            return y.float() + z

    probe = build_probe(Casting(), torch.zeros(1, 3, 4, 4))
    (x,) = probe.noise_input()
    truths = record_reference(probe, (x,)).truths
    result = truths[probe.results[""]]
    np.testing.assert_allclose(result.sample, 3 * (x.double().numpy().reshape(-1) + 1))
    assert result.noise_floor < 1e-2


class MakingItsOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 4, batch_first=True)

    def forward(self, x):
        y, _ = self.gru(x.mean(1), torch.zeros(1, x.shape[0], 4))
        places = torch.zeros(x.shape[0], 5, 5, 2) + torch.linspace(-1, 1, 5).view(1, 5, 1, 1)
        return y, nn.functional.grid_sample(x, places, align_corners=False)


def test_a_tensor_that_forward_makes_is_float64_for_the_truth_and_the_default_stays():
    probe = build_probe(MakingItsOwn(), torch.zeros(1, 3, 4, 4))
    truths = record_reference(probe, probe.noise_input()).truths
    sampled = truths[probe.results["1"]].sample
    assert (sampled != sampled.astype(np.float32)).any()
    assert torch.get_default_dtype() == torch.float32
