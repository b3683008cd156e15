"""How long a network takes for inference, measured on this machine or added up from a table of what its layers take."""
