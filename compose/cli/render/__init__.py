"""Progress, tables and logs as a terminal, a pipe or a program wants them."""
