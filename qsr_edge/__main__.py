"""``python -m qsr_edge`` is ``qsr-edge``."""

import sys

from qsr_edge.cli.main import main

sys.exit(main())
