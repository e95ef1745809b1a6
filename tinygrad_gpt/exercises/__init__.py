"""Exercises with a checker: `tinygrad-gpt exercises`.

Content: each folder (`a_tensors`, `d_build`, …) is a set, each file in it an exercise: the task, the solution, the
specification as plain loops, the cases to check, hints, imaginable mistakes, and what to read afterwards.

Framework:
    parts.py      what an exercise file is written with: Draw, OneExpression, Mistake, Read, expect
    catalogue.py  finds the sets and exercises by their folders
    stub.py       the file that the student gets: the solution without its bodies
    rules.py      one expression, no loops, allowed names: read from the syntax tree
    compare.py    expected and got: the first difference and what it looks like
    examine.py    the verdict on a student's file, in this process
    isolate.py    the same in a process of its own, with a time limit; child.py is that process
    progress.py   the student's folder: files, and what is solved
    show.py       verdicts and lists for a terminal or a pipe
    commands.py   list, next, check, hint, watch, solution, reset
"""
