"""Predictions: asks a predictor about the open markets, with the features that are known at the as-of time."""
