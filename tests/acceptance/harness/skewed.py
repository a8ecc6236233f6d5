"""`watcher` on a machine whose clock is wrong.

python -m tests.acceptance.harness.skewed SECONDS run --config FILE
"""

import sys
import time


def run() -> None:
    plain, seconds = time.time, float(sys.argv.pop(1))
    time.time = lambda: plain() + seconds
    from watcher.cli import main  # takes the clock as it finds it

    main()


if __name__ == "__main__":
    run()
