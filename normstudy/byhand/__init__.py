"""The wing that explains: every normalization computed by hand, with numbers to check."""
