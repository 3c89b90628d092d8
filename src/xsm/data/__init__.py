"""What data are: names and units, grids, cells, regions, periods, masks. Floor 0: imports only the ground."""
