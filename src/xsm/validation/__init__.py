"""Estimates beside stations: matching, pairing, metrics, scores."""
