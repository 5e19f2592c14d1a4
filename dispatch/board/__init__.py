"""The dispatcher's one screen: the city's stations, what is to decide, the queue, the crews."""
