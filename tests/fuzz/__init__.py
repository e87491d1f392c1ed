"""Fuzzing: octets of any kind are read, or refused by what the protocol has for it, and nothing else happens.

A target is a function of octets that asserts so.  ``run.py`` looks for octets that break one; ``corpus``
keeps those that were interesting, and ``test_corpus.py`` tries each of them with every run of the tests.
"""
