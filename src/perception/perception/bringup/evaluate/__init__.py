"""`perception evaluate`: how good and how fast networks are on bags, by the library or by the running graph."""
