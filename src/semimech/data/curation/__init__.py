"""Curation: what can be wrong with a screen, one small check each, and the copy in which what can be mended is."""
