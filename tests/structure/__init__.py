"""Checks of the shape of the code: surface, imports, layers, sizes, constants."""
