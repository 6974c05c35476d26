"""Photos and arrays in, recorded tensors out: what `layerprobe run` reads and writes.

image_finding.py: which files of a photo folder are taken, in which order: suffixes, hidden files, links
image_reading.py: decodes an image: EXIF rotation, transparency, 16 bits; refuses damaged, huge and EPS files
image_statistics.py: mean and standard deviation of a photo folder's channels: `layerprobe stats`
photo_maps.py: the maps of a photo: which come from the averaged probe, which from the full one, in parts of 1 GB
top_class.py: the highest class of a trained classifier, as a picture says it
photo_pages.py: the pages of these maps, or of one output's channels, as `grid` and `show` draw them
preprocessing.py: resize, crop, scale, normalise as torchvision does: a photo -> N C H W
input_files.py: photos, .npy, .npz, .safetensors, folders -> inputs by name; archives too large to unpack
photo_input.py: a photo as a file, picture, pixels or tensor -> inputs by name: what `show` and `grid` are given
input_batches.py: files -> batches of --batch photos, each read when its turn comes
tensor_recording.py: runs each batch and writes all outputs into one .safetensors file; --recorded-input
tensor_file.py: reads a .safetensors file of anyone's: names, metadata, bfloat16
recorded_run.py: open_run: a recorded run, its metadata and the hash of its inputs
"""
