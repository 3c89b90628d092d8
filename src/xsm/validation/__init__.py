"""Maps against stations: which sensors, which hours, which scores."""
