"""Suites of others that this library must pass. Scripts for tox; the tests here see that they are strict."""
