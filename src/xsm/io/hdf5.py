"""HDF5 files of unknown origin, before anything in them is read: whether all their values lie in the file itself.

A file can name others (external links, external storage, virtual datasets): xsm would copy what another file of this
machine holds into its output, and the HDF5 library crashes where such a name leads back to itself.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any, NoReturn

from xsm.errors import DataError

MOST_OBJECTS = 5000
"""Links of a file; those of the products have fewer than 200."""
DEEPEST = 50
"""Groups inside each other."""
_DAMAGE = (OSError, RuntimeError, LookupError, TypeError, ValueError, MemoryError, OverflowError)
"""What h5py raises where a file is damaged."""
_COPY = "If you trust it, write its values into one file, for example with xarray: load() and to_netcdf()."


def check_hdf5(path: str | Path) -> None:
    """Refuse an HDF5 file that leads to other files or back to itself, or has an absurd number of datasets.

    Call it before a library opens the file. Files of other formats, and those that HDF5 cannot open, are left to their
    reader.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    None

    Raises
    ------
    DataError
        If it has external links, external storage, virtual datasets made of other files or of virtual ones, groups
        that contain themselves, or more than 5000 groups and datasets.

    Examples
    --------
    >>> check_hdf5("SMAP/SMAP_L3_SM_P_E_20210401_R19240_001.h5")
    """
    try:
        state = os.stat(path)
    except OSError:
        return
    _check(str(path), state.st_ino, state.st_size, state.st_mtime_ns)


@functools.lru_cache(4096)
def _check(path: str, *_: int) -> None:
    """Check a file once in each of its states; its bytes come through Python, so that no lock meets another reader."""
    import h5py

    with open(path, "rb") as raw:
        try:
            file = h5py.File(raw, "r")
        except _DAMAGE:
            return  # what is wrong is said by the reader, who cannot open it either
        try:
            _Walk(path, file.id).group(file["/"].id, "", ())
        except DataError:
            raise
        except _DAMAGE as error:
            reason = str(error).strip("'\"").split("\n")[0]
            raise DataError(f"'{path}' cannot be read as HDF5 ({reason}).", hint="Get the file again.") from None
        finally:
            file.close()


class _Walk:
    """A walk through the links of a file; each of the groups that a link leads to is looked at, once for every link."""

    def __init__(self, path: str, file: Any) -> None:
        self.path, self.file, self.count = path, file, 0

    def group(self, group: Any, name: str, above: tuple[int, ...]) -> None:
        """Check the links of a group, and what is below them."""
        from h5py import h5g, h5l, h5o

        place = h5o.get_info(group).addr
        if place in above or len(above) > DEEPEST:
            self.refuse(f"has a group '{name}' that contains itself, or lies more than {DEEPEST} groups deep")
        self.count += group.get_num_objs()
        if self.count > MOST_OBJECTS:
            self.refuse(f"has more than {MOST_OBJECTS} groups and datasets")
        links: list[bytes] = []
        group.links.iterate(links.append)
        for link in links:
            full = f"{name}/{link.decode(errors='replace')}"
            if group.links.get_info(link).type not in (h5l.TYPE_HARD, h5l.TYPE_SOFT):
                self.refuse(f"has an external link '{full}', which leads to another file", _COPY)
            try:
                kind = h5o.get_info(group, link).type
            except (KeyError, RuntimeError) as error:
                if "too many" in str(error):
                    self.refuse(f"has a link '{full}' that leads to itself")
                continue  # a link to nothing
            if kind == h5o.TYPE_GROUP:
                self.group(h5g.open(group, link), full, (*above, place))
            elif kind == h5o.TYPE_DATASET:
                self.dataset(group, link, full)

    def dataset(self, group: Any, link: bytes, name: str) -> None:
        """Check where the values of a dataset lie."""
        from h5py import h5d

        layout = h5d.open(group, link).get_create_plist()
        if layout.get_external_count():
            self.refuse(f"keeps the values of '{name}' in another file", _COPY)
        if layout.get_layout() != h5d.VIRTUAL:
            return
        for part in range(layout.get_virtual_count()):
            if layout.get_virtual_filename(part) != ".":
                self.refuse(f"has a virtual dataset '{name}' that is made of other files", _COPY)
            source = layout.get_virtual_dsetname(part)
            try:
                nested = h5d.open(self.file, source.encode()).get_create_plist().get_layout() == h5d.VIRTUAL
            except (KeyError, RuntimeError):  # nothing there, or a pattern of names
                nested = True
            if nested:
                self.refuse(f"has a virtual dataset '{name}' that is made of itself, other virtual ones or none", _COPY)

    def refuse(self, what: str, hint: str = "It is damaged, or not a file for xsm.") -> NoReturn:
        """Raise the error."""
        raise DataError(f"'{self.path}' {what}.", hint=hint)
