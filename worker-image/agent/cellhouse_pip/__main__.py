"""`python3 -m cellhouse_pip` is `pip`, and so are the programs pip and pip3 of the image."""

import sys

from cellhouse_pip.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
