"""Directories of these tests are in memory; those of machines that tests boot are too large."""

from tests.support.memory import put_tests_in_memory

put_tests_in_memory()
