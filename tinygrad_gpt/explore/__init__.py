"""`tinygrad-gpt explore`: what flows back through each step of a model, and from which line.

examples.py, subject.py   what is recorded: a small example or a GPT on a text
collect.py                the record as plain data; formula.py typesets, attention.py and training.py add theirs
page.py, page/            the HTML file; serve.py answers it where inputs may be changed
pictures.py               PNG files instead; graph_picture.py is the graph's
command.py                the command line
"""
