"""Prints docs/alb-support.md."""

import sys

from gatewright.aws.support.page import page

sys.stdout.write(page())
