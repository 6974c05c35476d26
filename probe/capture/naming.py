"""Names for the nodes of a traced model: the same ones as in torchvision's feature extraction.

The rule is torchvision's (`NodePathTracer._get_node_qualname`), which scans all earlier names for each new one; this
keeps the highest index by base name instead, so that naming is linear in the number of nodes.
"""

import re

from runtime.artifact.plain_text import one_line

__all__ = ["NodeNamer"]

_INDEXED = re.compile(r"(.+)_([0-9]+)$")


class NodeNamer:
    """Gives each node a unique name; call it in the order of execution.

    >>> name = NodeNamer()
    >>> name("cnn2"), name("cnn2"), name("layer1.add_7")
    ('cnn2', 'cnn2_1', 'layer1.add')
    """

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._last_index: dict[str, int] = {}

    def __call__(self, qualified_name: str) -> str:
        """Return the unique name for a node whose module path, or path and fx name, is `qualified_name`."""
        # torch.fx numbers repeated operations over the whole graph; torchvision numbers them within their module,
        # so an existing index is removed (even if a module is really called `cnn2_1`).
        plain = one_line(qualified_name)
        indexed = _INDEXED.match(plain)
        base = indexed[1] if indexed else plain
        name = base
        if base in self._last_index:
            index = self._last_index[base] + 1
            # Only if modules' own names end in an index can two bases lead to one name; torchvision then repeats the
            # name, which would lose a tensor.
            while f"{base}_{index}" in self._used:
                index += 1
            name = f"{base}_{index}"
        while name in self._used:
            name += "_1"
        self._register(name)
        return name

    def keep(self, name: str) -> str:
        """Return the name of an input, which stays as it is: `features_1` is not the second of two `features`."""
        self._register(name)
        return name

    def _register(self, name: str) -> None:
        self._used.add(name)
        self._last_index[name] = 0
        indexed = _INDEXED.match(name)
        if indexed:
            self._last_index[indexed[1]] = int(indexed[2])
