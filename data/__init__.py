"""The bundled sample corpus and the programs that make it."""
