"""A simulated phone, to see what a policy does over minutes. No figure from it is a phone's."""
