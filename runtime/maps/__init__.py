"""Tensors to pictures: a map of each output, its colours, pages of tiles, and the files.

grid_style.py: GridStyle: choices of a grid (--reduce, --clip, ...) and limits; None: page_layout.py, colour_scales.py
channel_mean.py: N C H W, N H W C or tokens -> C H W: the class token is dropped, patches folded back; their mean
reductions.py: table of the ways to one map: mean, std, l2, max, abs-mean, pca; what auto tries
principal_components.py: the first three of a tensor's channels, their shares; the sign of the first
feature_maps.py: FeatureMap: what one tile shows; what is left out: constant, rounding, 1 x 1, the same picture twice
map_reading.py: an output's array -> its map, its channels; what is constant or rounding
colour_scales.py: which value gets which colour, also of differences: ends, clipping, symmetry; strengths of ranges
colour_maps.py: matplotlib's colour tables and the look-up; the colour of NaN
component_colours.py: principal components as brightness and hue, in Oklab; a photo's hues
photo.py: Photo: a photo and the part that the model saw; a map over it (--overlay); dimmed outside the crop
sections.py: neighbours of one resolution; what is said above them; blocks by module paths; where a page may end
blocks.py: which depth of blocks makes an overview; branches inside of a block; what its activation follows
likeness.py: measures of maps: correlation, noise, checkerboards, weak ones; one sign and hue turn for components
stages.py: stages by the size of maps; encoder and decoder; what each stage returns; poolings
thinning.py: what an overview leaves out or marks: from which correlation on maps look alike, poolings; full rows
parts.py: each channel of a model's result of few, in place of their mean; rows of second and third components
takeaway.py: the sentence below an overview's title: NaN, ranges that shrink, the photo's colours and outlines
tile_places.py: columns, even rows, where each tile is, how many a page holds; how large a map is in its tile
page_layout.py: size of tiles, the usual width; lines of text above and below; refuses a page over 16,383 pixels a side
picture_text.py: fonts, names broken in two lines, sentences wrapped
pages.py: what all pages have: their number, the title, the legend and sentences of the footer
tile_texts.py: what each tile's lines say: name, operation, size, share of variance, flat; a name once for its parts
map_page.py: draws a page of tiles: names of stages and blocks, the photo, maps with colour bars
tile.py: draws one tile: a map, alone or over the photo, its frame, range and colour bar; fits text that it is given
footer.py: the sentences below a grid: how it is coloured, faint or flat tiles, tokens; what is left out, by its reasons
feature_grid.py: draw_grid, draw_pages: the outputs of a run
overview.py: the overview of a model, step by step: blocks, mean or PC1, counts that close
channel_grid.py: draw_channels: every channel of one output, or the strongest (--channels, --top)
comparison_page.py: draws a page of rows: a column for each photo or model (--against), one scale a row, difference
comparison.py: draw_comparison: outputs of several runs matched by name; what only one has
channel_comparison.py: the same for one output's channels
picture.py: Picture: a page as a list of pixels, text and boxes; as an image
picture_saving.py: JPG, PNG, WebP, SVG, PDF by suffix; quality; names of several pages (--all-pages)
vector_file.py: PDF and SVG by matplotlib; text stays text
colour_tables.npz: matplotlib's tables, copied
"""
