"""The contract of all three packages: what an artifact holds, its types, its files, its errors.

It imports no other room, and neither PyTorch nor a runtime.

errors.py: all errors of the user's, with the exit codes of the command line; how to install an extra
plain_text.py: control characters, line breaks and escapes out of names and messages before they are shown (say)
native_stderr.py: what libraries write to stderr past Python is kept from being seen
file_reading.py: opens files that anyone may have made: no pipes, no endless ones or safetensors headers; links
free_memory.py: how much memory is free
by_name.py: imports what a table names as package.module:name
cli_options.py: options shared by nodes, export and run: --outputs, --input, --input-size, --quiet; help's headings
versioned_json.py: reads JSON with a format version; refuses another version, double keys, wrong fields
consistency.py: whether what a manifest says of tensors can be true: names, dtypes, symbols, layouts, sizes
manifest.py: types of manifest.json, also what `nodes --json` prints: Input, Output, Recipe, ...; names of files
embedded_manifest.py: the copy of the manifest inside model files: reading it, and whether it says the same
file_hash.py: SHA-256 of a file, kept while the file stays as it is; what tells that a file has changed
protobuf.py: protobuf's fields on the wire, without reading large ones
onnx_file.py: an ONNX file without its weights, cut to some outputs; Git LFS stand-ins; its metadata
onnx_weights.py: weights in files beside the ONNX file: which may be read (no path that leads outside), reading
onnx_nodes.py: operators, attributes and constants of each output's nodes: operations.json
folder.py: open_artifact: the folder or a lone model file, or why it is none; checks hashes; the averaged one beside it
selection.py: --outputs and --operations: globs, module paths, labels; near names for an unknown one
tensor_summary.py: which elements of a large tensor are kept, and the most there can be; channel statistics
reference.py: reference.safetensors: recorded inputs, float64 truths, noise floors
agreement.py: whether two tensors hold the same values, in another layout too (NCHW and NHWC, reshaped)
tensors.py: the dictionary of arrays that a run returns, and how it prints; PyTorch's tensors as NumPy arrays
showing.py: a shape in words; how probes, manifests and artifacts print (repr), in a prompt and a notebook
unfinished.py: temporary files and folders: their names, locks, removal after a kill; fsync
file_replacement.py: writes a file whole or not at all; replaces only a file of its own kind (its mark)
folder_replacement.py: the same for a folder: an artifact, a page; exchanges two folders in one step
"""
