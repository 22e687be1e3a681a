"""ML engine: an online ridge regression on the features, with its out-of-sample record beside every prediction."""
