"""From images to a network in use within a time: what is known, what is planned by it, and all of it done."""
