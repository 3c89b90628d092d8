"""Files that users read and write: NetCDF, Zarr, GeoTIFF, CSV."""
