"""The adapters: one module a client library, all of one shape (base.py)."""
