"""Photos in, recorded tensors out: reading and preprocessing images, and the file that `layerprobe run` writes."""
