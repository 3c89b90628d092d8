"""Compiled kernels of the regridding: serial, ``nogil``, run side by side by the block threads.

Why so: "Scale and threads" among the decisions. `regridding` serves ``regrid``; `plan` chooses by input and target,
`variables` says how each variable is resampled, `apply` does it:

- latitude/longitude and EASE axes: `latlon`, with the 1-D weights of `weights`
- projected rasters: `projected` (many pixels a cell, placed by `projected_tiles`, summed by `projected_sums`)
- `curvilinear` input: its positions are inverted; `interpolated` there, as are coarse projected rasters and swaths out
- `points`: means of those in a cell, else the nearest by `neighbours` (pyresample's kd-tree)

Import these modules only where they are used.
"""
