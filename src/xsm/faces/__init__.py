"""The front doors: accessor, command line, QGIS worker; made from the descriptions of operations."""
