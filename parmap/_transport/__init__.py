"""Bytes, memory and descriptors between processes."""
