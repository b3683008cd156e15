"""The runs that learn: a search and a training, by settings and on images; and the network that was trained."""
