"""Runs a script (the first argument, with those after it) until it ends, or until standard input does.

A server that tests start is given a pipe as its input. However the tests end, killed or not, the pipe ends with them.
"""

import os
import runpy
import sys
import threading


def watch():
    while os.read(0, 4096):
        pass
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
runpy.run_path(sys.argv[0], run_name="__main__")
