"""From datasets to samples, from bundles to maps: filling, estimating, calibration."""
