"""`python -m runtime.oci`: the OCI runtime command line."""

from __future__ import annotations

import sys

from runtime.ocicli import main

if __name__ == "__main__":
    sys.exit(main())
