"""The example: the tensors of one call of a model, named after forward's parameters."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from runtime.artifact.errors import ModelError

from .source_places import place_of

__all__ = ["Example", "bind_example"]


@dataclass(frozen=True)
class Example:
    """Tensors for one call of a model, in the order of its signature.

    Attributes:
        args: the positional ones.
        kwargs: those passed by keyword.
        names: the names of all of them in forward's signature; `args_0` for the first of `*args`.
    """

    args: tuple[torch.Tensor, ...]
    kwargs: dict[str, torch.Tensor]
    names: tuple[str, ...]

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors, in the order of `names`."""
        return (*self.args, *self.kwargs.values())

    def replaced(self, tensors: tuple[torch.Tensor, ...]) -> "Example":
        """Return the same call with other tensors."""
        keywords = dict(zip(self.kwargs, tensors[len(self.args) :], strict=True))
        return Example(tensors[: len(self.args)], keywords, self.names)

    @property
    def batch(self) -> int:
        """The size of the first tensor's first axis."""
        return self.tensors[0].shape[0]

    def batched_inputs(self) -> list[frozenset[int]]:
        """Return guesses, best first, at which tensors have the batch as their first axis."""
        if not self.batch:
            return []
        same = [index for index, tensor in enumerate(self.tensors) if tensor.shape[0] == self.batch]
        # A factor or a table of one dimension may be as long as the batch by chance, especially if that is 1.
        guesses = [same, [index for index in same if self.tensors[index].ndim > 1], [0]]
        return list(dict.fromkeys(map(frozenset, guesses)))

    def enlarged(self, batched: frozenset[int]) -> "Example":
        """Return the example with its first image repeated at the end of the tensors that are `batched`."""
        return self.replaced(
            tuple(
                torch.cat([tensor, tensor[:1]]) if index in batched else tensor
                for index, tensor in enumerate(self.tensors)
            )
        )

    def of_other_batch(self, batched: frozenset[int]) -> "Example":
        """Return the example with only the first image in the tensors that are `batched`, or two if it has one.

        If a model treats any batch size specially, it is 1.
        """
        if self.batch == 1:
            return self.enlarged(batched)
        return self.replaced(
            tuple(tensor[:1] if index in batched else tensor for index, tensor in enumerate(self.tensors))
        )

    def varied(self) -> "Example":
        """Return the example with constant floating-point tensors replaced by standard normal noise.

        On zeros, for example, a convolution without a bias returns zeros, and two models can't be told apart.
        """
        generator = torch.Generator().manual_seed(0)
        return self.replaced(
            tuple(
                torch.randn(tensor.shape, generator=generator).to(tensor)
                if tensor.is_floating_point() and tensor.numel() > 1 and bool((tensor == tensor.flatten()[0]).all())
                else tensor
                for tensor in self.tensors
            )
        )

    def run(self, model: nn.Module) -> object:
        """Call the model without gradients; the tensors stay unchanged.

        Raises:
            ModelError: the model ends the process.
        """
        # Tensors made in inference mode, which the caller may be in, have no version counters.
        with torch.inference_mode(False), torch.no_grad():
            args = [tensor.clone() for tensor in self.args]
            kwargs = {name: tensor.clone() for name, tensor in self.kwargs.items()}
            try:
                return model(*args, **kwargs)
            except SystemExit as error:
                raise ModelError(
                    f"{type(model).__name__}'s forward ends the process (sys.exit){place_of(error)} "
                    "instead of returning a result."
                ) from error


def bind_example(model: nn.Module, args: tuple[torch.Tensor, ...], kwargs: Mapping[str, torch.Tensor]) -> Example:
    """Return the example with its tensors named and ordered as in the signature of the model's forward.

    Raises:
        ModelError: there is no tensor, a value is not a tensor or is a scalar, or they don't fit forward.
    """
    given = (*args, *kwargs.values())
    if not given or not all(isinstance(tensor, torch.Tensor) for tensor in given):
        raise ModelError("build_probe needs an example input: build_probe(model, torch.zeros(1, 3, 64, 64))")
    if not all(tensor.ndim for tensor in given):
        raise ModelError(
            "An input can't be a scalar such as torch.tensor(2.0): it needs an axis.\n"
            "Pass torch.tensor([2.0]), or give the parameter a default in forward and omit it."
        )
    signature = inspect.signature(model.forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        takes = ", ".join(map(str, signature.parameters.values())) or "nothing"
        raise ModelError(
            f"{type(model).__name__}.forward takes {takes}; the example doesn't fit: {error}.\n"
            "Pass a tensor for each parameter without a default: build_probe(model, tensor, tensor); "
            "on the command line, use a factory that returns (model, (tensor, tensor))."
        ) from error
    names: list[str] = []
    ordered: dict[str, torch.Tensor] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names.extend(f"{name}_{index}" for index in range(len(value)))
        elif kind is inspect.Parameter.VAR_KEYWORD:
            names.extend(value)
            ordered.update(value)
        else:
            names.append(name)
            if name in kwargs:
                ordered[name] = value
    return Example(args, ordered, tuple(names))
