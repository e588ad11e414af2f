"""Verbs of ``iot``, one module each: :mod:`cli.main` finds them here and imports the one that is used.

A verb is a function with the name of its module; its docstring is the verb's help. A module with an ``app`` is a verb
with verbs of its own; its help is the module's docstring.
"""
