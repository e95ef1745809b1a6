"""`python -m tinygrad_gpt` is the command `tinygrad-gpt`."""

from tinygrad_gpt.cli import main

main()
