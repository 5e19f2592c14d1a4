"""The dispatcher's main screen: map, suggestions, task queue and crews."""
