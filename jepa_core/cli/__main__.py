"""`python -m jepa_core.cli` is the command `jepa`."""

import sys

from jepa_core.cli import main

sys.exit(main())
