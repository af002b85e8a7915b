"""Plain types shared by client, engine and shim; no behaviour, no imports of ours."""
