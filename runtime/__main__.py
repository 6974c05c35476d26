"""`python -m runtime` runs `layerprobe` where its script is not on the PATH."""

from .main import main

main()
