"""`python -m jepa_core` is the command `jepa`."""

import sys

from jepa_core.cli import main

sys.exit(main())
