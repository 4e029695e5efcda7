"""Studies: one recipe in several variants, over several seeds, compared."""
