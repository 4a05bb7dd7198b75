"""`python3 -m cellhouse_pip` runs pip, and may add a note. The image's programs pip and pip3 call it."""

import sys

from cellhouse_pip.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
