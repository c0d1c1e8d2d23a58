"""Word alignments drawn: for the terminal, for pipes, for the browser and for print."""
