"""`python -m runtime`: the command `layerprobe`, where its script is not on the path."""

from .main import main

main()
