"""A folder of images through the model, once: statistics of every output and channel, as Parquet.

A scan is shards of image paths. Each gives partial statistics, from the artifact and its paths alone, and these merge
in a fixed order: so it can be stopped and go on, and several workers give the same as one, to the last bit.

scanning.py: scan: the order of the steps; images in a shard and in a batch
scan_folder.py: scan.json: what a scan is of; another one, a changed artifact, a second process are refused
other_options.py: what tells one scan from another, in the words of the command line
image_source.py: a folder, an address or a tar -> the images in it; how to get one
image_place.py: a folder on this machine: photos, arrays, tars, in which order
bucket.py: s3:// and gs://: the same for a bucket, by pyarrow
tar_members.py: WebDataset's tars without unpacking them: bounded, forwards only
image_list.py: which images, cut into shards of a given size: --limit, --sample, --classes; those added since
going_on.py: which images are listed and counted already; fewer images, a damaged table are refused
changed_images.py: broken images and tars repaired since are taken anew; counted images that changed are refused
scanned_outputs.py: which outputs can be reduced; a tensor as N C K
pipeline.py: a batch a core, from its files to its statistics; added in their order
shard_reduction.py: a shard, batch after batch -> its partial statistics, and a row for each image
batch_reduction.py: a batch's tensors -> all that is kept of them
other_model.py: what --against names: its inputs and layout; the same shape for a runner, a file, another model
batch_differences.py: what two models' tensors of a batch differ by
compiled_loops.py: whether numba is here: what computes the loops
row_moments.py: a batch -> count, mean, variance, range, zeros, NaN of each image and channel
row_kernels.py: the same, compiled by numba: one pass over each row; and the loops of the next four
tensor_moments.py: the statistics of one tensor at once, for a notebook
channel_moments.py: these of each channel over many images; merging them (Chan)
sample_counts.py: which elements the histograms count, and counting them
value_histogram.py: an output's values in 65,536 buckets; quantiles from them
output_histograms.py: each output's filled buckets, as they are merged and kept
channel_histogram.py: each channel's values in 255 buckets below its largest; quantiles from them; merging them
packed_histograms.py: the channels' histograms, compressed while they wait to be merged
partial_statistics.py: what a shard gave, as data and as a file
merge_tree.py: the partial statistics on the disk, merged in an order that no interruption changes
opening.py: how a scan opens its runners: threads, what is compared
shard_worker.py: a shard computed somewhere else: what a worker is sent, the files that it sends back
ray_cluster.py: --ray: shards given to workers by Ray Data; Ray is used nowhere else
kept_tensors.py: --keep: the tensors themselves, in files of bounded size
differences.py: --against: drift of each output on every image, where it starts, which and how many are the worst
worst_images.py: --against: writes those images' inputs, for verify --input
introduced_errors.py: --introduced: what each operation introduced and inherited on every image
tables.py: writing and reading a Parquet file; images and summaries
statistics_tables.py: outputs, channels, histograms as Parquet; when a channel is dead or saturated, for table(), too
"""
