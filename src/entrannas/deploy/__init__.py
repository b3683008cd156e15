"""A trained network used: on files of images, exported to where it is wanted, and as a service."""
