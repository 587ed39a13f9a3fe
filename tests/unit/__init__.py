"""Tests of single modules, with no worker."""
