"""Compiled kernels of the regridding: serial, ``nogil``, run side by side by the block threads.

Why so: docs/design/decisions.md, "Scale and threads".

`weights` makes the 1-D weights (numpy); `separable`, `projected` and `gather` hold the numba loops. `plan` chooses
between the plans of a pair of grids: two 1-D passes, `reduced` (many pixels a cell, placed by `tiles`), `located`
(positions in the source) and points (`scattered`). `jobs` tells how each variable is resampled, `apply` does it. Import
these modules only where they are used.
"""
