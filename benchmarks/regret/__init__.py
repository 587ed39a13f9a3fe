"""How much time parmap's choice costs against the best choice: see `__main__.py`."""
