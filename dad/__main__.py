"""`python -m dad VERB ...`: see `dad.cli`."""

import sys

from dad.cli import main

if __name__ == "__main__":
    sys.exit(main())
