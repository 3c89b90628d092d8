"""Files of people: NetCDF, Zarr, GeoTIFF, CSV."""
