"""Stations and moves as dispatchers see them: on the board, in lists and on pages."""
